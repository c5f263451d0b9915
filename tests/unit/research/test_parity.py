"""Each kind of difference between a run and its backtest, on journals made up from a backtest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, walk

from palmbot.core.types import Reason
from palmbot.model import Refusal
from palmbot.research import backtest
from palmbot.research.lived import OPEN_MS, Change, Lived
from palmbot.research.parity import Difference, compare

DATA = data_of(walk(600, 2))
RULE = BASE._replace(losses_max=0, drawdown_bp=0, daily_loss_bp=0, spike_bp=0, open_gap_max_bp=0)
TESTED = backtest.run(DATA, "rsi_sentiment", RULE, BALANCE_MINOR)
FIRST = TESTED.trades[0]


def lived(**bar: Any) -> Lived:
    """Return a run that saw and did what the backtest did; ``bar`` changes the bar that decided the first trade."""
    bodies: list[dict[str, Any]] = []
    names = ("ts_ms", "end_ms", "open_px", "high_px", "low_px", "close_px")
    for row in zip(*(getattr(DATA.bars, name).tolist() for name in names), strict=True):
        body = dict(zip(names, row, strict=True)) | {"rate_e8": 100_000_000, "spread_px": 0, "live": True}
        body |= {"action": 0, "volume_cu": 0, "reason": int(Reason.NO_SIGNAL)}
        bodies.append(body | {"sentiment": 0.0, "sentiment_known_ms": 0})
    decided = max(place for place, body in enumerate(bodies) if body["end_ms"] <= FIRST.entry_ms)
    bodies[decided] |= bar
    return Lived(
        bars=bodies,
        trades=TESTED.trades,
        refusals=TESTED.refusals,
        changes=(Change(0, BALANCE_MINOR, "rsi_sentiment", RULE, DATA.spec.core),),
        period_ms=DATA.period_ms,
        is_synthetic=True,
    )


def first(run: Lived) -> Difference:
    return compare(run, DATA.spec, (0, 1 << 52)).differences[0]


def test_a_run_that_did_the_same_has_no_difference() -> None:
    found = compare(lived(), DATA.spec, (0, 1 << 52))
    assert found.differences == ()
    assert found.equal == len(TESTED.trades) > 1


def test_a_late_fill_is_latency_and_a_worse_one_in_time_is_slippage() -> None:
    worse = replace(FIRST, entry_px=FIRST.entry_px + 1_000 * FIRST.side)
    assert first(replace(lived(), trades=(worse, *TESTED.trades[1:]))).kind == "slippage"
    late = replace(worse, entry_ms=worse.entry_ms + 5_000)
    assert first(replace(lived(), trades=(late, *TESTED.trades[1:]))).kind == "latency"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [(Reason.BROKER_REJECTED, "reject"), (Reason.WIDE_SPREAD, "breaker"), (Reason.SENTIMENT_WEAK, "data")],
)
def test_a_refused_signal_has_the_name_of_its_reason(reason: Reason, kind: str) -> None:
    run = lived()
    end_ms = max(body["end_ms"] for body in run.bars if body["end_ms"] <= FIRST.entry_ms)
    assert first(replace(run, trades=TESTED.trades[1:], refusals=(Refusal(end_ms, FIRST.side, reason),))).kind == kind


def test_a_bar_without_the_bot_is_missed() -> None:
    assert first(replace(lived(live=False), trades=TESTED.trades[1:])).kind == "missed bar"


def test_another_volume_follows() -> None:
    other = replace(FIRST, volume_cu=FIRST.volume_cu + 100)
    assert first(replace(lived(), trades=(other, *TESTED.trades[1:]))).kind == "follows"


def test_a_trade_that_only_the_bot_still_holds_is_open_at_the_end() -> None:
    held = replace(FIRST, exit_ms=OPEN_MS, exit_reason=int(Reason.NONE), exit_px=0.0, pnl_minor=0)
    told = compare(replace(lived(), trades=TESTED.trades[1:], held=held), DATA.spec, (0, 1 << 52))
    assert [(each.kind, each.pnl_minor) for each in told.differences] == [("open at the end", None)]
    assert told.differences[0].detail.startswith("still held here, in the backtest ended by ")
    assert (told.held, told.tested_held) == (held, None)
    assert told.equal == len(told.lived) == len(TESTED.trades) - 1


def test_a_late_fill_belongs_to_the_bar_that_its_order_names() -> None:
    later = replace(FIRST, entry_ms=FIRST.entry_ms + DATA.period_ms, entry_px=FIRST.entry_px + FIRST.side)
    end_ms = max(body["end_ms"] for body in lived().bars if body["end_ms"] <= FIRST.entry_ms)
    run = replace(lived(), trades=(later, *TESTED.trades[1:]), decided={later.entry_ms: end_ms})
    assert first(run).kind == "latency"
    assert len(compare(run, DATA.spec, (0, 1 << 52)).differences) == 1


def test_what_a_worse_entry_cost_is_told_in_the_money_of_the_account() -> None:
    worse = replace(FIRST, entry_px=FIRST.entry_px + 1_000 * FIRST.side)
    run = replace(lived(), trades=(worse, *TESTED.trades[1:]))
    halved = replace(run, bars=[{**body, "rate_e8": 50_000_000} for body in run.bars])
    costs = [
        next(
            each.pnl_minor for each in compare(each_run, DATA.spec, (0, 1 << 52)).differences if each.kind == "slippage"
        )
        for each_run in (run, halved)
    ]
    assert costs[0] is not None
    assert costs[1] == pytest.approx(costs[0] / 2, abs=1)
    assert costs[0] < 0
