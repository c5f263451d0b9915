"""The generated market tick by tick, and the promise that a demonstration rests on.

The promise: at 3 600 market seconds a wall second, ``rsi_sentiment`` with its defaults enters within 10 s of open
market time and from then on enters or leaves at least every 15 s. ``measure`` counts that with a rule of its own
(RSI(14) of hourly bars, sentiment, TP 2 %, SL 1.5 %, loss streak, volatility pause; no sizing, no daily loss, no
slippage). With the numbers in ``swings``, 20 seeds of 100 trading days, closed hours costing no wall time:

- the first entry comes within 1.5 s, also with each of 200 seeds;
- of 4 350 spans from one entry or exit to the next, 3 (0.07 %) last longer than 15 s, the longest 20.2 s; the mean is
  3.7 s and the 99th percentile 11.4 s;
- from entry to entry it is 7.3 s in the mean, and 2.5 % of those spans last longer than 15 s;
- RSI is outside 30..70 after 32 % of the bars, 52 % of the trades end at their target, and the volatility pause begins
  after one bar in 6 700.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from statistics import correlation, fmean

import pytest

from palmbot.calendar import Session, is_open, next_open
from palmbot.core.types import CostKind, Instrument
from palmbot.errors import ConfigError
from palmbot.exchange.market import (
    SOURCE,
    MarketState,
    SentimentRow,
    Tick,
    advance,
    start,
    tick_size,
)
from palmbot.exchange.market_arrays import START_MS, history
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX

DAY_MINUTES = 480  # open minutes of a trading day on Bursa, night session included
FIRST_MINUTES = 600  # 10 s of wall time at 3 600
EVERY_MINUTES = 900  # 15 s
ALWAYS = Session()


def walk(
    state: MarketState, minutes: int, spec: InstrumentSpec = PALM_OIL
) -> tuple[MarketState, list[Tick], list[SentimentRow]]:
    """Return the state after ``minutes`` open minutes, and everything seen in them."""
    ticks: list[Tick] = []
    rows: list[SentimentRow] = []
    for _ in range(minutes):
        state, more_ticks, more_rows = advance(state, spec)
        ticks += more_ticks
        rows += more_rows
    return state, ticks, rows


Seen = tuple[list[Tick], list[SentimentRow]]


@pytest.fixture(scope="module")
def twelve_weeks() -> Seen:
    """Ticks and sentiment of sixty trading days."""
    return walk(start(PALM_OIL, 6, START_MS), 60 * DAY_MINUTES)[1:]


@dataclass
class Rule:
    """A plain reading of rsi_sentiment, for counting only. Prices in px."""

    now_minutes: int = 0
    hour: int | None = None
    close: int = 0
    closes: list[int] = field(default_factory=list)
    gain: float = 0.0
    loss: float = 0.0
    rsi: float = 50.0
    outside: int = 0
    sentiment: SentimentRow | None = None
    wanted: int = 0
    position: tuple[int, float, float, float] | None = None  # side, entry, stop, target
    streak: int = 0
    blocked_until_ms: int = 0
    events: list[tuple[int, str]] = field(default_factory=list)
    wins: int = 0
    pauses: int = 0

    def close_bar(self, close: int, end_ms: int) -> None:
        """Update Wilder's RSI(14) and decide."""
        self.closes.append(close)
        if len(self.closes) == 1:
            return
        move = close - self.closes[-2]
        count = min(len(self.closes) - 1, 14)
        self.gain += (max(move, 0) - self.gain) / count
        self.loss += (max(-move, 0) - self.loss) / count
        self.rsi = 100.0 * self.gain / (self.gain + self.loss) if self.gain + self.loss > 0 else 50.0
        self.outside += not 30.0 <= self.rsi <= 70.0
        self.wanted = 0
        if abs(move) >= 0.03 * self.closes[-2]:
            self.blocked_until_ms = max(self.blocked_until_ms, end_ms + HOUR_MS)
            self.pauses += 1
        if self.position is not None or end_ms < self.blocked_until_ms or self.sentiment is None:
            return
        if end_ms - self.sentiment.known_ms > DAY_MS:
            return
        if self.rsi < 30.0 and self.sentiment.score > 30.0:
            self.wanted = 1
        elif self.rsi > 70.0 and self.sentiment.score < -30.0:
            self.wanted = -1

    def see(self, tick: Tick) -> None:
        """Protective orders first, then the bar that ended, then its decision."""
        hour = tick.ts_ms // HOUR_MS
        if self.position is not None:
            side, entry, stop, target = self.position
            price = tick.bid_px if side > 0 else tick.ask_px
            if side * (price - stop) <= 0 or side * (price - target) >= 0:
                won = side * (price - target) >= 0
                self.position = None
                self.events.append((self.now_minutes, "exit"))
                self.wins += won
                self.streak = 0 if won else self.streak + 1
                if self.streak == 3:
                    self.streak, self.blocked_until_ms = 0, (hour + 5) * HOUR_MS
        if self.hour is not None and hour != self.hour:
            self.close_bar(self.close, (self.hour + 1) * HOUR_MS)
            gap = abs(tick.bid_px / self.close - 1)
            if self.wanted != 0 and gap <= 0.03:
                side, base = self.wanted, self.close
                entry = tick.ask_px if side > 0 else tick.bid_px
                self.position = (side, entry, entry - side * 0.015 * base, entry + side * 0.02 * base)
                self.events.append((self.now_minutes, "entry"))
        self.hour, self.close = hour, tick.bid_px


def traded(seed: int, days: int) -> Rule:
    """Return the rule after the history of ``seed`` and ``days`` trading days of ticks."""
    bars, state = history(PALM_OIL, seed)
    rule = Rule()
    for bar in bars:
        rule.close_bar(bar.close_px, 0)
    rule.outside, rule.wanted, rule.blocked_until_ms, rule.pauses = 0, 0, 0, 0
    for minute in range(days * DAY_MINUTES):
        rule.now_minutes = minute
        state, ticks, rows = advance(state, PALM_OIL)
        for tick in ticks:
            rule.see(tick)
        for row in rows:
            rule.sentiment = row
    return rule


def measure(seeds: int, days: int) -> dict[str, float]:
    """Return how the promise was kept; times in wall seconds at 3 600, shares of 1."""
    rules = [traded(seed, days) for seed in range(seeds)]
    first = [rule.events[0][0] if rule.events else days * DAY_MINUTES for rule in rules]
    gaps = [after[0] - before[0] for rule in rules for before, after in pairwise(rule.events)]
    gaps += [days * DAY_MINUTES - rule.events[-1][0] for rule in rules if rule.events]  # the unfinished one counts too
    entries = [
        after - before
        for rule in rules
        for before, after in pairwise([minute for minute, kind in rule.events if kind == "entry"])
    ]
    exits = sum(kind == "exit" for rule in rules for _, kind in rule.events)
    bars = sum(len(rule.closes) - 500 for rule in rules)
    return {
        "events": len(gaps),
        "first_max_s": max(first) / 60,
        "gap_mean_s": fmean(gaps) / 60,
        "gap_p99_s": sorted(gaps)[int(0.99 * len(gaps))] / 60,
        "gap_max_s": max(gaps) / 60,
        "late_share": fmean(gap > EVERY_MINUTES for gap in gaps),
        "late_time_share": sum(max(gap - EVERY_MINUTES, 0) for gap in gaps) / (seeds * days * DAY_MINUTES),
        "entry_gap_mean_s": fmean(entries) / 60,
        "entry_gap_late_share": fmean(gap > EVERY_MINUTES for gap in entries),
        "win_share": sum(rule.wins for rule in rules) / exits,
        "rsi_outside_share": sum(rule.outside for rule in rules) / bars,
        "pause_share": sum(rule.pauses for rule in rules) / bars,
    }


@pytest.mark.slow
def test_a_demonstration_trades_as_often_as_promised() -> None:
    found = measure(seeds=20, days=10)
    assert found["first_max_s"] <= FIRST_MINUTES / 60
    assert found["late_share"] <= 0.01
    assert found["gap_max_s"] <= 2 * EVERY_MINUTES / 60
    assert found["pause_share"] <= 0.01
    assert 0.2 <= found["rsi_outside_share"] <= 0.5
    assert 0.35 <= found["win_share"] <= 0.65  # no money machine, no money shredder


def test_equal_seeds_make_equal_markets_and_others_do_not() -> None:
    def made(seed: int) -> list[Tick]:
        return walk(start(PALM_OIL, seed, START_MS), 300)[1]

    assert made(5) == made(5)
    assert made(5) != made(6)
    assert made(-1)


def test_the_hash_seed_of_python_changes_nothing() -> None:
    program = """
from palmbot.exchange.market import advance
from palmbot.exchange.market_arrays import history, history_sentiment, synthetic_bars
from palmbot.instruments import PALM_OIL
bars, state = history(PALM_OIL, 3, 50)
seen = [bars, history_sentiment(bars, PALM_OIL, 3), synthetic_bars(PALM_OIL, 3, 50)]
for _ in range(300):
    state, ticks, rows = advance(state, PALM_OIL)
    seen += [ticks, rows]
print(seen, state)
"""

    def printed(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        return hashlib.sha256(done.stdout).hexdigest()

    assert printed("1") == printed("2")


def test_a_market_restored_from_json_goes_on_as_if_it_had_never_stopped() -> None:
    state = start(PALM_OIL, 9, START_MS)
    for _ in range(400):  # past the first day's close and into the second day
        restored = MarketState.of_body(json.loads(json.dumps(state.body())))
        assert restored == state
        assert advance(restored, PALM_OIL) == advance(state, PALM_OIL)
        state = walk(state, 3)[0]


def test_a_state_is_small() -> None:
    assert len(json.dumps(walk(start(PALM_OIL, 9, START_MS), 50)[0].body())) < 1_000


def test_ticks_keep_to_the_session_and_none_of_its_minutes_is_without() -> None:
    _, ticks, _ = walk(start(PALM_OIL, 2, START_MS), 7 * DAY_MINUTES)
    assert all(is_open(tick.ts_ms, PALM_OIL.session) for tick in ticks)
    assert all(before.ts_ms < after.ts_ms for before, after in pairwise(ticks))
    minutes = sorted({tick.ts_ms // MINUTE_MS for tick in ticks})
    assert len(minutes) == 7 * DAY_MINUTES
    for before, after in pairwise(minutes):
        assert next_open((before + 1) * MINUTE_MS, PALM_OIL.session) == after * MINUTE_MS


def test_holidays_are_closed() -> None:
    tuesday = date(2024, 1, 9)
    spec = replace(PALM_OIL, session=replace(PALM_OIL.session, holidays=frozenset({tuesday})))
    _, ticks, _ = walk(start(spec, 2, START_MS), 2 * DAY_MINUTES, spec)
    monday = START_MS // DAY_MS
    assert {(tick.ts_ms + 8 * HOUR_MS) // DAY_MS for tick in ticks} == {monday, monday + 2}


def test_the_first_tick_after_closed_hours_and_no_other_opens_a_gap(twelve_weeks: Seen) -> None:
    ticks, _ = twelve_weeks
    for before, after in pairwise(ticks):
        assert after.opens_gap == (after.ts_ms - before.ts_ms > HOUR_MS)
        if after.opens_gap:
            assert next_open((before.ts_ms // MINUTE_MS + 1) * MINUTE_MS, PALM_OIL.session) > after.ts_ms - 3_000
    nights = [
        abs(math.log(after.bid_px / before.bid_px))
        for before, after in pairwise(ticks)
        if after.ts_ms - before.ts_ms > 8 * HOUR_MS
    ]
    inside = [abs(math.log(after.bid_px / before.bid_px)) for before, after in pairwise(ticks) if not after.opens_gap]
    assert fmean(nights) > 5 * fmean(inside)
    assert max(nights) > 0.005


def test_a_market_that_never_closes_opens_once_and_has_no_gaps() -> None:
    spec = replace(PALM_OIL, session=ALWAYS)
    minutes = 8 * 24 * 60  # longer than the week that the calendar looks ahead
    _, ticks, _ = walk(start(spec, 2, START_MS + 1), minutes, spec)
    assert not any(tick.opens_gap for tick in ticks)
    assert ticks[-1].ts_ms // MINUTE_MS - ticks[0].ts_ms // MINUTE_MS == minutes - 1
    wide = [tick.ts_ms for tick in ticks if tick.ask_px - tick.bid_px > spec.core.spread]
    assert max(wide) - START_MS < 7 * MINUTE_MS


def test_prices_lie_on_whole_points_and_the_ask_above_the_bid_by_whole_steps() -> None:
    core = PALM_OIL.core
    _, ticks, _ = walk(start(PALM_OIL, 4, START_MS), 5 * DAY_MINUTES)
    assert all(tick.bid_px % PX == 0 for tick in ticks)
    assert {tick.ask_px - tick.bid_px for tick in ticks} == {core.spread, 2 * core.spread, 3 * core.spread}


def test_the_spread_widens_after_an_open_only() -> None:
    _, ticks, _ = walk(start(PALM_OIL, 4, START_MS), 5 * DAY_MINUTES)
    wide = [tick.ts_ms for tick in ticks if tick.ask_px - tick.bid_px > PALM_OIL.core.spread]
    assert all(not is_open(ts_ms - 5 * MINUTE_MS, PALM_OIL.session) for ts_ms in wide)


def test_a_spread_that_is_no_multiple_of_the_step_is_rounded_up() -> None:
    odd = PALM_OIL.core._replace(spread_kind=int(CostKind.PPM), spread=501, step_px=1_000)
    spec = replace(PALM_OIL, core=odd)
    _, ticks, _ = walk(start(spec, 4, START_MS), 200, spec)
    assert all((tick.ask_px - tick.bid_px) % 1_000 == 0 for tick in ticks)
    free = replace(PALM_OIL, core=PALM_OIL.core._replace(spread=0))
    _, ticks, _ = walk(start(free, 4, START_MS), 200, free)
    assert all(tick.ask_px > tick.bid_px for tick in ticks)


def test_the_tick_is_one_ringgit_for_palm_oil_and_follows_the_instrument() -> None:
    assert tick_size(PALM_OIL) == PX
    assert tick_size(PALM_OIL, 500) == 500
    assert tick_size(InstrumentSpec(digits=5, price_hint=1, core=Instrument(step_px=1))) == 10
    assert tick_size(InstrumentSpec(digits=0, price_hint=100, core=Instrument(step_px=PX))) == PX
    for wrong in (0, -100, 150):
        with pytest.raises(ConfigError, match="TICK_SIZE_WRONG"):
            tick_size(PALM_OIL, wrong)


def test_trading_is_livelier_next_to_the_open_and_the_close(twelve_weeks: Seen) -> None:
    ticks, _ = twelve_weeks
    moves: dict[int, list[float]] = {}
    for before, after in pairwise(ticks):
        minute = after.ts_ms % DAY_MS // MINUTE_MS - 150  # the morning session is 02:30 to 04:30 UTC
        if 0 < minute < 120 and not after.opens_gap:
            moves.setdefault(minute // 10, []).append(abs(math.log(after.bid_px / before.bid_px)))
    middle = fmean(moves[5] + moves[6])
    assert fmean(moves[0]) > 1.2 * middle
    assert fmean(moves[11]) > 1.2 * middle


def test_sentiment_is_synthetic_and_known_with_the_last_tick_of_its_minute() -> None:
    state = start(PALM_OIL, 6, START_MS)
    seen = 0
    for _ in range(5 * DAY_MINUTES):
        state, ticks, rows = advance(state, PALM_OIL)
        for row in rows:
            seen += 1
            assert row.known_ms == ticks[-1].ts_ms
            assert row.source == SOURCE == "SYNTHETIC"
            assert -100.0 <= row.score <= 100.0
    assert 30 <= seen <= 80


def test_sentiment_leans_against_the_recent_move(twelve_weeks: Seen) -> None:
    ticks, rows = twelve_weeks
    price = {tick.ts_ms: tick.bid_px for tick in ticks}
    known = [price[row.known_ms] for row in rows]
    moves = [math.log(after / before) for before, after in zip(known, known[8:], strict=False)]
    assert correlation(moves, [row.score for row in rows[8:]]) < -0.5


def test_sentiment_is_stale_after_some_week_ends_but_seldom(twelve_weeks: Seen) -> None:
    ticks, rows = twelve_weeks
    known, stale, at = [row.known_ms for row in rows], 0, -1
    for tick in ticks:
        while at + 1 < len(known) and known[at + 1] <= tick.ts_ms:
            at += 1
        stale += at < 0 or tick.ts_ms - known[at] > DAY_MS
    assert 0.0 < stale / len(ticks) < 0.05
