"""Nothing is used before it was known: whatever comes after an instant, the past before it stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palmbot.core.types import Params, SentimentArrays
from palmbot.exchange.market_arrays import synthetic_bars, synthetic_sentiment
from palmbot.instruments import PALM_OIL
from palmbot.model import Refusal, Trade
from palmbot.research import backtest, store
from palmbot.research.result import DataSet, RunResult
from palmbot.research.rolls import NO_ROLLS
from palmbot.research.windows import cut
from palmbot.units import HOUR_MS

BARS, BALANCE = 4_000, 10_000_000
PROFILES = (
    Params(risk_fraction=0.001),
    Params(risk_fraction=0.001, gap_quantile=0.9, flat_before=4, rsi_exit=50.0),
)


def series() -> DataSet:
    """Return SYNTHETIC hourly bars with a sentiment."""
    bars = synthetic_bars(PALM_OIL, 3, BARS, HOUR_MS)
    known = synthetic_sentiment(bars, 3)
    what = {"name": "SYNTHETIC", "adjustment": "none", "rows_read": BARS, "rows_outside_session": 0, "notes": ()}
    return DataSet(
        spec=PALM_OIL,
        period_ms=HOUR_MS,
        bars=bars,
        rolls=NO_ROLLS,
        sentiment=known,
        fingerprint=store.fingerprint(bars),
        **what,  # type: ignore[arg-type]
    )


def past(result: RunResult, until_ms: int) -> tuple[list[Trade], list[Refusal]]:
    """Return the trades that ended, and what was refused, before ``until_ms``."""
    trades = [each for each in result.trades if each.exit_ms < until_ms]
    return trades, [each for each in result.refusals if each.bar_end_ms < until_ms]


@pytest.mark.parametrize("params", PROFILES)
def test_the_past_does_not_depend_on_what_comes_later(params: Params) -> None:
    data, rng = series(), np.random.default_rng(1)
    whole = backtest.run(data, "rsi_sentiment", params, BALANCE)
    assert len(whole.trades) > 20
    assert len(whole.refusals) > 20
    known = data.sentiment
    for end in rng.integers(BARS // 4, BARS, 8).tolist():
        until_ms = int(data.bars.end_ms[end - 1])
        short = backtest.run(cut(data, 0, end), "rsi_sentiment", params, BALANCE)
        assert past(short, until_ms) == past(whole, until_ms)
    for refusal in whole.refusals[:: max(1, len(whole.refusals) // 100)]:  # what came to nothing must not know better
        until_ms = refusal.bar_end_ms
        other = np.where(known.known_ms > until_ms, 100.0 - 200.0 * (known.score > 0.0), known.score)
        changed = replace(data, sentiment=SentimentArrays(known.known_ms, other))
        result = backtest.run(changed, "rsi_sentiment", params, BALANCE)
        assert past(result, until_ms + 1) == past(whole, until_ms + 1)
