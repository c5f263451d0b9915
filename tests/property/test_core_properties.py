"""What holds of every replay: nothing is known early, no money appears, state survives a journal, time runs forward."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle.comparison import replayed
from tests.oracle.worlds import World, prices, world_of

from palmbot.core import fills
from palmbot.core import step as core
from palmbot.core.replay import replay
from palmbot.core.signals import sentiment_at
from palmbot.core.tape import TRADE_COLUMNS, Entry, new_tape
from palmbot.core.types import Account, Bar, Breakers, Decision, Indicators, Position, State
from palmbot.core.world import Outcome
from palmbot.units import RATE_ONE_E8

TICK_MS = 15_000
worlds = st.builds(lambda rng: world_of(rng, bars_max=40), st.randoms(use_true_random=False))


def rows_of(world: World, *, curve: bool = True) -> tuple[Outcome, list[list[int]]]:
    """Return the outcome of a world and its events as they stand on the tape."""
    outcome, tape = replayed(world, curve=curve)
    return outcome, tape.events[: outcome.events].tolist()


def trades_of(rows: list[list[int]]) -> list[dict[str, int]]:
    """Return the trades among ``rows``."""
    return [dict(zip(TRADE_COLUMNS, row, strict=True)) for row in rows if row[0] == Entry.TRADE]


def cut(world: World, bars: int) -> World:
    """Return ``world`` as it was known when its first ``bars`` bars had been seen."""
    last_ms = int(world.bars.ts_ms[bars - 1]) + 3 * TICK_MS
    rates = world.bars.rate_e8
    series = world.bars._replace(**{name: getattr(world.bars, name)[:bars] for name in world.bars._fields})
    known, due = world.rows.known_ms <= last_ms, world.rolls.ts_ms <= last_ms
    return world._replace(
        bars=series._replace(rate_e8=rates[:bars]),
        rows=world.rows._replace(known_ms=world.rows.known_ms[known], score=world.rows.score[known]),
        rolls=world.rolls._replace(ts_ms=world.rolls.ts_ms[due], gap_px=world.rolls.gap_px[due]),
    )


def with_other_future(world: World, bars: int, rng: Random) -> World:
    """Return ``world`` with everything after its first ``bars`` bars made anew."""
    last_ms, count = int(world.bars.ts_ms[bars - 1]) + 3 * TICK_MS, world.bars.ts_ms.shape[0]
    step_px = world.run.instrument.step_px
    path = [[price * step_px for price in bar] for bar in prices(rng, count - bars)]
    columns = {name: getattr(world.bars, name).copy() for name in ("open_px", "high_px", "low_px", "close_px")}
    for index, column in enumerate(columns.values()):
        column[bars:] = [bar[index] for bar in path]
    rates = world.bars.rate_e8.copy()
    rates[bars:] = rates[bars:] * rng.randint(1, 3)
    later, score, gap_px = world.rows.known_ms > last_ms, world.rows.score.copy(), world.rolls.gap_px.copy()
    score[later] = [float(rng.randint(-100, 100)) for _ in range(int(later.sum()))]
    gap_px[world.rolls.ts_ms > last_ms] += rng.randint(-50, 50) * step_px
    return world._replace(
        bars=world.bars._replace(**columns, rate_e8=rates),
        rows=world.rows._replace(score=score),
        rolls=world.rolls._replace(gap_px=gap_px),
    )


@given(worlds, st.randoms(use_true_random=False), st.booleans())
def test_nothing_that_comes_later_changes_what_came_before(world: World, rng: Random, curve: bool) -> None:
    bars = rng.randint(1, world.bars.ts_ms.shape[0])
    known = cut(world, bars)
    outcome, tape = replayed(known)
    for whole in (world, with_other_future(world, bars, rng)):
        played, longer = replayed(whole, curve=curve)
        assert np.array_equal(longer.events[: outcome.events], tape.events[: outcome.events])
        assert played.events >= outcome.events
        for name in ("equity", "equity_low", "held") if curve else ():
            assert np.array_equal(getattr(longer, name)[:bars], getattr(tape, name)), name


@given(worlds)
def test_every_minor_unit_is_accounted_for(world: World) -> None:
    outcome, rows = rows_of(world)
    trades = trades_of(rows)
    for trade in trades:
        parts = ("gross_minor", "swap_minor", "commission_minor", "fee_minor")
        assert trade["pnl_minor"] == sum(trade[part] for part in parts)
        assert trade["commission_minor"] <= 0
        assert trade["fee_minor"] <= 0
        assert trade["spread_minor"] <= 0
        assert trade["slippage_minor"] <= 0
    assert outcome.balance_minor == world.balance_minor + sum(trade["pnl_minor"] for trade in trades)
    instrument, bars = world.run.instrument, world.bars
    rate_e8 = int(bars.rate_e8[-1]) if bars.rate_e8.shape[0] > 0 else RATE_ONE_E8
    spread = fills.spread_px(instrument, int(bars.open_px[-1]))
    floating = fills.floating_minor(instrument, outcome.position, int(bars.close_px[-1]), spread, rate_e8)
    assert outcome.equity_minor == outcome.balance_minor + floating


@given(worlds)
def test_events_are_in_order_of_time_and_positions_never_overlap(world: World) -> None:
    outcome, rows = rows_of(world)
    stamp_column = {Entry.TRADE: TRADE_COLUMNS.index("exit_ms"), Entry.REFUSAL: 1, Entry.TRIP: 1}
    stamps = [row[stamp_column[Entry(row[0])]] for row in rows]
    assert stamps == sorted(stamps)
    trades = trades_of(rows)
    assert all(trade["entry_ms"] < trade["exit_ms"] for trade in trades)
    assert all(before["exit_ms"] < after["entry_ms"] for before, after in pairwise(trades))
    kinds = [row[0] for row in rows]
    counts = (kinds.count(Entry.TRADE), kinds.count(Entry.REFUSAL), kinds.count(Entry.TRIP))
    assert counts == (outcome.trades, outcome.refusals, outcome.trips)


@given(worlds, st.integers(0, 12))
def test_a_tape_that_is_too_short_counts_but_does_not_write(world: World, capacity: int) -> None:
    outcome, tape = replayed(world)
    short = new_tape(capacity, 0)
    assert replay(*world, short) == outcome
    assert np.array_equal(short.events, tape.events[:capacity])


@given(worlds)
def test_every_level_and_fill_lies_where_it_was_asked_for(world: World) -> None:
    instrument = world.run.instrument
    for trade in trades_of(rows_of(world)[1]):
        side = trade["side"]
        assert side * (trade["entry_px"] - trade["sl_px"]) >= instrument.step_px
        assert side * (trade["tp_px"] - trade["entry_px"]) >= instrument.step_px
        assert trade["volume_cu"] % instrument.volume_step_cu == 0
        assert instrument.volume_min_cu <= trade["volume_cu"] <= instrument.volume_max_cu


def through_json(state: State) -> State:
    """Return ``state`` after it was written as text and read again."""
    body: dict[str, Any] = json.loads(
        json.dumps({"indicators": state.indicators._asdict(), "breakers": state.breakers._asdict()})
    )
    return State(Indicators(**body["indicators"]), Breakers(**body["breakers"]))


def bars_of(world: World) -> list[Bar]:
    """Return the bars of ``world`` as the decision sees them."""
    back, instrument = world.run.params.spike_bars, world.run.instrument
    columns = [column.tolist() for column in world.bars[:6]]
    found = []
    for index, (ts_ms, end_ms, *prices_px) in enumerate(zip(*columns, strict=True)):
        past_px = columns[5][index - back] if index >= back else 0
        opened, high, low, close = prices_px
        spread = fills.spread_px(instrument, opened)
        found.append(Bar(ts_ms, end_ms, opened, high, low, close, past_px, spread, RATE_ONE_E8))
    return found


@given(worlds, st.data())
def test_state_goes_through_a_journal_bit_for_bit(world: World, data: st.DataObject) -> None:
    """A bot that is restarted after every bar decides as one that never was."""
    params, instrument = world.run
    kept = restored = core.initial(instrument, world.balance_minor, int(world.bars.ts_ms[0]))
    made: list[tuple[Decision, Decision]] = []
    for bar in bars_of(world):
        equity = world.balance_minor + data.draw(st.integers(-500, 500))
        account = Account(world.balance_minor, equity, Position())
        sentiment = sentiment_at(world.rows, bar.end_ms)
        kept, decision = core.step(params, instrument, kept, bar, account, sentiment)
        restored, again = core.step(params, instrument, through_json(restored), bar, account, sentiment)
        made.append((decision, again))
    assert all(decision == again for decision, again in made)
    assert restored == kept
    assert through_json(kept) == kept


@given(worlds)
def test_the_curve_ends_in_the_outcome_and_never_lies_above_itself(world: World) -> None:
    outcome, tape = replayed(world)
    assert tape.equity[-1] == outcome.equity_minor
    assert (tape.equity_low <= tape.equity).all()
    assert set(tape.held.tolist()) <= {0, 1}
    assert tape.equity_low[0] <= world.balance_minor
