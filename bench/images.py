"""``python -m bench.images [FOLDER]``: the figures of the documents, drawn anew from SYNTHETIC bars.

The market is a walk in which a stretched RSI truly turns, its profit factor planted, so that the figures show what an
edge looks like where there is one. They say nothing about palm oil.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.planted import BALANCE_MINOR, BASE, data_of, planted
from palmbot.research.analysis import analyse
from palmbot.research.analysis_files import DPI
from palmbot.research.figures import drawn
from palmbot.units import HOUR_MS

FOLDER = Path("docs/images")
SHOWN = ("thresholds", "after-rsi", "excursions")
BARS = 12_000


def main(folder: Path) -> None:
    data = data_of(planted(BARS, 7, period_ms=HOUR_MS), "a walk with a planted edge")
    analysis = analyse(data, ("rsi_sentiment", BASE), BALANCE_MINOR, 1, 2, lambda *_: None)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(analysis).items():
        if name in SHOWN:
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=0.7 * DPI, metadata={"Software": None})
            print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
