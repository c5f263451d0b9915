"""SYNTHETIC scenes for replays that can be worked out by hand.

Prices are whole points of one unit of money. An order buys or sells 10 units, so a point is 10.00 (1 000 minor). The
spread is 2 points and the slippage 1; stop and target are 2 % and 3 % of the decision's close: 20 and 30 points at
1 000. Every breaker is off and nothing else costs anything until a test says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from palmbot.core.replay import replay
from palmbot.core.tape import REFUSAL_COLUMNS, TRADE_COLUMNS, TRIP_COLUMNS, Entry, Tape, new_tape
from palmbot.core.types import BarArrays, Instrument, Int64Array, Params, RollArrays, SentimentArrays
from palmbot.core.world import Outcome, Run
from palmbot.units import HOUR_MS, PX

START_MS = 1_704_067_200_000  # Monday 2024-01-01 00:00Z
BALANCE = 10_000_000
POINT = 1_000  # minor units that ten units gain with a point

# RSI is never below 0 nor above 100: these want a position after every bar
ALWAYS_LONG = Params(
    profile=1,
    rsi_low=-2.0,
    rsi_high=-1.0,
    warmup_bars=1,
    sl_ppm=20_000,
    tp_ppm=30_000,
    open_gap_max_bp=0,
    risk_fraction=1.0,
    daily_loss_bp=0,
    drawdown_bp=0,
    losses_max=0,
    cooldown_ms=HOUR_MS,
    spike_bp=0,
    pause_ms=HOUR_MS,
)
ALWAYS_SHORT = ALWAYS_LONG._replace(rsi_low=101.0, rsi_high=102.0)
UNITS = Instrument(
    step_px=PX,
    lot_cu=100,
    volume_step_cu=100,
    volume_min_cu=100,
    volume_max_cu=1_000,
    leverage=1,
    spread=2 * PX,
    slippage=PX,
    commission_rate=0,
    day_start_ms=11 * HOUR_MS,
)

Bar = tuple[int, int, int, int]
Event = dict[str, int]


class Played(NamedTuple):
    """A replay and what it wrote; prices in points."""

    outcome: Outcome
    trades: list[Event]
    refusals: list[Event]
    trips: list[Event]
    tape: Tape

    @property
    def exits(self) -> list[tuple[int, int, int]]:
        """Return ``(reason, exit time, exit price)`` of each trade."""
        return [(trade["reason"], trade["exit_ms"], trade["exit_px"]) for trade in self.trades]


def at(bar: int, tick: int = 0) -> int:
    """Return the time of a tick of an hourly bar."""
    return START_MS + bar * HOUR_MS + tick * 15_000


def int64(values: Sequence[int]) -> Int64Array:
    """Return ``values`` as the core takes them."""
    return np.array(values, np.int64)


def hourly(bars: Sequence[Bar], hours: Sequence[int] | None = None) -> BarArrays:
    """Return hourly bars of whole points, one an hour from the start on or in the given hours."""
    ts_ms = START_MS + int64(list(hours if hours is not None else range(len(bars)))) * HOUR_MS
    opens, highs, lows, closes = (int64([bar[column] * PX for bar in bars]) for column in range(4))
    return BarArrays(ts_ms, ts_ms + HOUR_MS, opens, highs, lows, closes, int64([]))


def rolls(*rows: tuple[int, int]) -> RollArrays:
    """Return rolls of ``(time, gap in points)``."""
    return RollArrays(int64([row[0] for row in rows]), int64([row[1] * PX for row in rows]))


def sentiment(*rows: tuple[int, float]) -> SentimentArrays:
    """Return sentiment rows of ``(known at, score)``."""
    return SentimentArrays(int64([row[0] for row in rows]), np.array([row[1] for row in rows], np.float64))


def play(
    bars: BarArrays,
    params: Params = ALWAYS_LONG,
    instrument: Instrument = UNITS,
    *,
    balance: int = BALANCE,
    rolled: RollArrays | None = None,
    rows: SentimentArrays | None = None,
    capacity: int = 64,
    curve: bool = True,
) -> Played:
    """Replay a scene."""
    tape = new_tape(capacity, bars.ts_ms.shape[0] if curve else 0)
    outcome = replay(Run(params, instrument), balance, bars, rolled or rolls(), rows or sentiment(), tape)
    found: dict[int, list[Event]] = {Entry.TRADE: [], Entry.REFUSAL: [], Entry.TRIP: []}
    names = {Entry.TRADE: TRADE_COLUMNS, Entry.REFUSAL: REFUSAL_COLUMNS, Entry.TRIP: TRIP_COLUMNS}
    for row in tape.events[: min(outcome.events, capacity)].tolist():
        event = dict(zip(names[Entry(row[0])], row, strict=False))
        for name in event.keys() & {"entry_px", "exit_px", "sl_px", "tp_px"}:
            event[name] //= PX
        found[row[0]].append(event)
    return Played(outcome, found[Entry.TRADE], found[Entry.REFUSAL], found[Entry.TRIP], tape)
