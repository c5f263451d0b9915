"""A paper run of 7,064 SYNTHETIC hourly bars at ``--speed max``, and where its time goes. Aim: under 10 s.

``file`` keeps journal (synchronous=FULL) and books on disk, as a person's run does; ``memory`` keeps both in memory.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from palmbot import bootstrap
from palmbot.exchange.market_arrays import synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.research.result import DataSet
from palmbot.research.store import fingerprint, write_series
from palmbot.settings import BUILT_IN_PROFILES, DataSettings, RunSettings, Settings
from palmbot.units import HOUR_MS

BARS = 7_064


def measure() -> dict[str, Any]:
    """Return the wall seconds of a paper run with its journal on disk and in memory."""
    bars = synthetic_bars(PALM_OIL, 1, BARS, HOUR_MS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        sentiment = Path(folder) / "sentiment.csv"
        rows = synthetic_sentiment(bars, 1)
        lines = (f"{known},{score}\n" for known, score in zip(rows.known_ms, rows.score, strict=True))
        sentiment.write_text("known_at,score\n" + "".join(lines), "utf-8")
        none = bars.rate_e8
        series = DataSet(
            name="synthetic",
            spec=PALM_OIL,
            period_ms=HOUR_MS,
            adjustment="none",
            bars=bars,
            rolls=bootstrap.no_rolls(),
            sentiment=rows,
            rows_read=BARS,
            rows_outside_session=0,
            notes=(),
            fingerprint=fingerprint(bars),
            synthetic=none.shape == (0,),
        )
        write_series(path, series)
        settings = Settings(
            data_dir=Path(folder),
            profile="rsi_sentiment",
            params=BUILT_IN_PROFILES["rsi_sentiment"],
            instrument=PALM_OIL,
            balance_minor=10_000_000,
            data=DataSettings(file=path, sentiment_file=sentiment),
            run=RunSettings(speed=None),
        )
        seconds = {}
        for name in ("warm", "file", "memory"):
            begun = time.perf_counter()
            output = bootstrap.run_bot(replace(settings), None, in_memory=name == "memory")
            seconds[name] = round(time.perf_counter() - begun, 2)
    return {
        "bars": BARS,
        "trades": output.summary.trades,
        "file_s": seconds["file"],
        "memory_s": seconds["memory"],
        "bars_a_second_in_memory": round(BARS / seconds["memory"]),
        "aim": "memory under 10 s",
    }
