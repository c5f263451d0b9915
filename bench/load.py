"""How long a million bars take from Parquet to the arrays of the core, checked. Aim: under 0.3 s.

The bars are SYNTHETIC. The fingerprint is verified in that time; reading the plain bytes of the file stands beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

from bench.replay import BARS, timed, walk
from palmbot.instruments import PALM_OIL
from palmbot.research.data import load
from palmbot.research.result import DataSet
from palmbot.research.rolls import NO_ROLLS
from palmbot.research.store import NO_SENTIMENT, fingerprint, write_series
from palmbot.settings import DataSettings
from palmbot.units import MINUTE_MS

ROUNDS = 10


def measure() -> dict[str, Any]:
    """Return the least seconds of the loader on a million one-minute bars."""
    bars, spec = walk(), PALM_OIL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "walk.parquet"
        write_series(
            file,
            DataSet(
                name="walk",
                spec=spec,
                period_ms=MINUTE_MS,
                adjustment="none",
                bars=bars,
                rolls=NO_ROLLS,
                sentiment=NO_SENTIMENT,
                rows_read=BARS,
                rows_outside_session=0,
                notes=(),
                fingerprint=fingerprint(bars),
                synthetic=True,
            ),
        )
        settings = DataSettings(file=file)
        rounds = [_measured(partial(load, settings, spec)) for _ in range(ROUNDS)]
        return {
            "bars": BARS,
            "load_s": round(min(wall for wall, _ in rounds), 3),
            "load_cpu_s": round(min(cpu for _, cpu in rounds), 3),
            "bytes_s": round(min(timed(file.read_bytes) for _ in range(ROUNDS)), 4),
            "file_mb": round(file.stat().st_size / 1e6, 1),
            "aim": "load_s under 0.3",
        }


def _measured(function: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock and of the processor, all threads together."""
    begun = process_time()
    wall = timed(function)
    return wall, process_time() - begun
