"""Gauges and events of a series."""

from __future__ import annotations

import numpy as np
from tests.unit.research.sweep_series import FREE, NO_ROLLS, START_MS, bars_of, walk

from palmbot.core.types import CostKind, RollArrays
from palmbot.research.sweep_market import BLOCK, Due, Event, Fact, Tick, charges_in, market_of, opened_at
from palmbot.units import DAY_MS, HOUR_MS, PX, RATE_ONE_E8

ROWS = [(4_000, 4_010, 3_990, 4_005), (4_020, 4_030, 4_000, 4_001)]


def test_a_gauge_is_the_price_to_close_at_higher_is_better() -> None:
    market = market_of(FREE._replace(spread=2 * PX), bars_of(ROWS), NO_ROLLS)
    long, short = market.gauges[1, :, 0] // PX, market.gauges[0, :, 0] // PX
    assert [long[tick] for tick in Tick] == [3_990, 4_010, 4_005]
    assert [short[tick] for tick in Tick] == [-4_012, -3_992, -4_007]
    assert [opened_at(market, side, 1) // PX for side in (0, 1)] == [-4_022, 4_020]


def test_facts_are_of_the_bar_and_its_costs() -> None:
    costs = {"spread_kind": int(CostKind.PPM), "spread": 1_000, "slippage": 7}
    market = market_of(FREE._replace(**costs), bars_of(ROWS), NO_ROLLS)
    second = dict(zip((fact.name for fact in Fact), market.facts[1].tolist(), strict=True))
    assert second == {
        "OPEN_PX": 4_020 * PX,
        "CLOSE_PX": 4_001 * PX,
        "TS_MS": START_MS + HOUR_MS,
        "END_MS": START_MS + 2 * HOUR_MS,
        "SPREAD_PX": 402_000,
        "SLIPPAGE_PX": 7,
        "RATE_E8": RATE_ONE_E8,
        "PAST": 0,
    }


def test_blocks_hold_the_extremes_and_the_fill_is_never_touched() -> None:
    bars = walk(3 * BLOCK + 5)
    market = market_of(FREE, bars, NO_ROLLS)
    for side, tick, reduce in ((1, Tick.ADVERSE, np.min), (1, Tick.FAVOURABLE, np.max), (0, Tick.CLOSED, np.max)):
        row = market.gauges[side, tick, : bars.ts_ms.shape[0]]
        expected = [reduce(row[first : first + BLOCK]) for first in range(0, row.shape[0], BLOCK)]
        assert market.blocks[side, tick].tolist() == expected
    assert (market.gauges[:, Tick.ADVERSE, bars.ts_ms.shape[0] :] > 1 << 60).all()
    assert (market.gauges[:, Tick.FAVOURABLE, bars.ts_ms.shape[0] :] < -(1 << 60)).all()


def test_events_come_in_the_order_of_parity_with_the_last_bid_of_either_path() -> None:
    """At noon of bar 12 all three fall due at once; at 20 s of a bar one path has seen its high, the other its low."""
    noon_ms, inside_ms = START_MS + 12 * HOUR_MS, START_MS + 2 * HOUR_MS + 20_000
    instrument = FREE._replace(swap_long=-1, swap_time_ms=12 * HOUR_MS, day_start_ms=12 * HOUR_MS)
    rolls = RollArrays(np.array([inside_ms, noon_ms]), np.array([3 * PX, -4 * PX]))
    bars = walk(30)
    market = market_of(instrument, bars, rolls)
    events = {row.name: market.events[row].tolist() for row in Event}
    assert events["MS"] == [inside_ms, noon_ms, noon_ms, noon_ms]
    assert events["DUE"] == [Due.ROLL, Due.SWAP, Due.ROLL, Due.DAY]
    assert events["GAP_PX"] == [3 * PX, 0, -4 * PX, 0]
    assert events["BAR"] == [2, 11, 11, 11]
    assert events["BID_SHORT_PX"] == [bars.high_px[2], *[bars.close_px[11]] * 3]
    assert events["BID_LONG_PX"] == [bars.low_px[2], *[bars.close_px[11]] * 3]
    assert events["CHARGES"] == [1, 2, 3, 3]
    assert market.facts[:, Fact.PAST].tolist() == [0] * 3 + [1] * 9 + [4] * 18
    assert [charges_in(market.events, *span) for span in ((0, 0), (0, 4), (1, 4), (3, 4))] == [0, 3, 2, 0]


def test_no_swap_falls_due_at_a_weekend() -> None:
    """From Thursday on for a week: Thursday, Friday, and Monday to Wednesday."""
    market = market_of(FREE._replace(swap_short=5, swap_time_ms=HOUR_MS), walk(24 * 7), NO_ROLLS)
    swaps = market.events[Event.MS][market.events[Event.DUE] == Due.SWAP]
    assert ((swaps - START_MS) // DAY_MS).tolist() == [0, 1, 4, 5, 6]
