"""A replay by hand: PARITY rules 4-59 in plain Python on exact integers, one event after the other.

Written from the rules, not from ``palmbot.core.replay``. It shares with the core its value types and the float
arithmetic of RSI and ATR; paths, touches, money, breakers, decisions and their order are all said a second time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from tests.oracle import money
from tests.oracle.decisions import Close, Wish, entry, signal, trail_px, wants_out
from tests.oracle.guards import Guards
from tests.oracle.money import DAY_MS
from tests.oracle.worlds import World

from palmbot.core import indicators
from palmbot.core.types import Indicators, Position, Reason, StopKind

TICK_MS = 15_000
FLATTENED = {Reason.BREAKER_DAILY, Reason.BREAKER_DRAWDOWN}
PLACES = ("open", "first extreme", "second extreme", "close")


@dataclass
class Holding:
    """The open position and what is remembered of its beginning."""

    side: int
    volume_cu: int
    entry_px: int
    sl_px: int
    tp_px: int
    sl_first_px: int
    entry_ms: int
    bar: int
    spread_px: int
    slippage_px: int
    commission_minor: int
    margin_minor: int
    risk: Fraction
    swap_minor: int = 0


class Tick(NamedTuple):
    """One tick of the path of a bar."""

    ts_ms: int
    bar: int
    number: int
    bid_px: int
    spread_px: int
    slippage_px: int
    rate_e8: int


@dataclass
class Oracle:
    """An account that lives through a world; after ``live`` its fields are the outcome."""

    world: World
    events: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    risks: list[Fraction] = field(default_factory=list)  # planned loss of each trade, minor units, unrounded
    sights: Counter[str] = field(default_factory=Counter)  # what this world has shown
    equities: list[int] = field(default_factory=list)  # a bar: at its last mark
    lows: list[int] = field(default_factory=list)  # a bar: the lowest of its marks and closing fills
    held: list[int] = field(default_factory=list)  # a bar: whether a position was open at some time
    rsi: list[float | None] = field(default_factory=list)  # a closed bar; None while it means nothing
    holding: Holding | None = None
    wish: Wish | None = None
    high_first: bool = False
    stopped_out_ms: int = 0
    running: Indicators = field(default_factory=Indicators)

    def __post_init__(self) -> None:
        world = self.world
        self.params, self.instrument = world.run
        self.bars = [tuple(row) for row in zip(*(column.tolist() for column in world.bars[:6]), strict=True)]
        self.rates: list[int] = world.bars.rate_e8.tolist() or [10**8] * len(self.bars)
        self.costs = [self.costs_of(opened) for _, _, opened, *_ in self.bars]
        self.balance = world.balance_minor
        offset_ms = self.instrument.day_start_ms
        day_start_ms = (self.bars[0][0] - offset_ms) // DAY_MS * DAY_MS + offset_ms
        self.guards = Guards(self.balance, day_start_ms, self.balance)
        self.tick = self.tick_of(0, 0)

    # ---- what comes when (rules 12-14, 20)

    def timeline(self) -> list[tuple[int, int, int, int]]:
        """Return ``(time, rank, value, number)`` in order; rank: swap 0, roll 1, day 2, bar close 3, tick 4."""
        first_ms, last_ms = self.bars[0][0], self.bars[-1][0] + 3 * TICK_MS
        line = [
            (bar[0] + number * TICK_MS, 4, index, number) for index, bar in enumerate(self.bars) for number in range(4)
        ]
        line += [(bar[1], 3, index, 0) for index, bar in enumerate(self.bars[:-1])]
        line += [(ts, 2, ts, 0) for ts in range(self.guards.day_start_ms + DAY_MS, last_ms + 1, DAY_MS)]
        rolls = zip(self.world.rolls.ts_ms.tolist(), self.world.rolls.gap_px.tolist(), strict=True)
        line += [(ts, 1, gap_px, 0) for ts, gap_px in rolls if ts <= last_ms]
        swap_ms = first_ms // DAY_MS * DAY_MS - DAY_MS + self.instrument.swap_time_ms
        instants = range(swap_ms, last_ms + 1, self.instrument.swap_period_ms)
        line += [(ts, 0, ts, 0) for ts in instants if ts > first_ms]
        return sorted(line, key=lambda event: event[:2])

    def live(self) -> Oracle:
        """Play the whole world."""
        for ts_ms, rank, value, number in self.timeline():
            if rank == 4:
                self.on_tick(value, number)
            elif rank == 3:
                self.on_bar_close(value)
            elif rank == 2:
                self.on_day(ts_ms)
            else:
                self.on_charge(rank, value)
        return self

    def costs_of(self, open_px: int) -> tuple[int, int]:
        """Return spread and slippage of the bar that opened at ``open_px``, the same for its four ticks (rule 4)."""
        instrument = self.instrument
        spread = money.cost(instrument.spread_kind, instrument.spread, open_px, instrument.step_px)
        return spread, money.cost(instrument.slippage_kind, instrument.slippage, open_px, instrument.step_px)

    def tick_of(self, index: int, number: int) -> Tick:
        """Return tick ``number`` of bar ``index``."""
        ts_ms, _, opened, high, low, close = self.bars[index]
        first, second = (high, low) if self.high_first else (low, high)
        bid = (opened, first, second, close)[number]
        return Tick(ts_ms + number * TICK_MS, index, number, bid, *self.costs[index], self.rates[index])

    # ---- time (rules 46-50)

    def on_day(self, ts_ms: int) -> None:
        """Open a trading day at the equity of the last mark."""
        self.guards.day_start_ms, self.guards.day_open_minor = ts_ms, self.equity()
        self.guards.day_tripped = False
        self.sights["day boundary inside a bar"] += self.tick.number < 3
        self.sights["day boundary at a bar's close"] += self.bars[self.tick.bar][1] == ts_ms

    def on_charge(self, rank: int, value: int) -> None:
        """Add a swap (rank 0, at instant ``value``) or a roll (rank 1, of the gap ``value``) to the position."""
        holding, rate_e8 = self.holding, self.tick.rate_e8
        if holding is None:
            return
        if rank == 0:
            charge = money.swap(self.instrument, holding.side, self.tick.bid_px, holding.volume_cu, rate_e8, value)
        else:
            charge = money.roll(self.instrument, holding.side, value, holding.volume_cu, rate_e8)
        holding.swap_minor += charge
        self.sights[f"{('swap', 'roll')[rank]} charged"] += charge != 0
        self.sights[f"{('swap', 'roll')[rank]} inside a bar"] += self.tick.number < 3

    # ---- marks (rules 5 and 11)

    def mark_px(self, holding: Holding) -> int:
        """Return the price at which ``holding`` could be closed, slippage aside."""
        return self.tick.bid_px if holding.side > 0 else self.tick.bid_px + self.tick.spread_px

    def equity(self) -> int:
        """Return equity at the last mark."""
        holding = self.holding
        if holding is None:
            return self.balance
        moved = holding.side * (self.mark_px(holding) - holding.entry_px) * holding.volume_cu
        gross = money.money(moved, self.tick.rate_e8, self.instrument.money_digits)
        return self.balance + gross + holding.swap_minor + holding.commission_minor

    def market_px(self, side: int) -> int:
        """Return the fill of a market order of ``side`` at this tick."""
        tick = self.tick
        return tick.bid_px + tick.spread_px + tick.slippage_px if side > 0 else tick.bid_px - tick.slippage_px

    # ---- a tick (rules 14-19 and 21-25)

    def on_tick(self, index: int, number: int) -> None:
        """Play a tick: the broker's orders, the mark and its breakers, then on an open what is pending."""
        if number == 1:
            self.high_first = self.holding is not None and self.holding.side < 0
        self.tick = self.tick_of(index, number)
        if number == 0:
            self.lows.append(self.balance if self.holding is None else 1 << 62)
            self.held.append(0)
        self.held[-1] |= self.holding is not None
        self.see_bar(index, number)
        self.protect()
        self.watch()
        if number == 0:
            wish, self.wish = self.wish, None
            if wish is not None:
                self.carry_out(wish)
        self.held[-1] |= self.holding is not None
        if number == 3:
            self.equities.append(self.equity())
            self.lows[-1] = min(self.lows[-1], self.equities[-1])

    def protect(self) -> None:
        """Fill the broker's stop or target where this tick touches it, the stop first."""
        holding, tick = self.holding, self.tick
        if holding is None:
            return
        side, mark, is_jump = holding.side, self.mark_px(holding), tick.number == 0
        above_stop, above_target = side * (mark - holding.sl_px), side * (mark - holding.tp_px)
        self.see_touch(above_stop, above_target)
        if above_stop <= 0:
            reason = Reason.SL if holding.sl_px == holding.sl_first_px else Reason.TRAIL
            self.close((mark if is_jump else holding.sl_px) - side * tick.slippage_px, reason)
        elif above_target >= 0:
            self.close(mark if is_jump else holding.tp_px, Reason.TP)

    def watch(self) -> None:
        """Test the loss limits at the mark; a trip closes at this tick and drops what is pending."""
        equity, holding, tick = self.equity(), self.holding, self.tick
        self.lows[-1] = min(self.lows[-1], equity)
        if holding is not None and 2 * equity < holding.margin_minor and self.stopped_out_ms == 0:
            self.stopped_out_ms = tick.ts_ms
        daily, drawdown = self.trips(equity)
        if not (daily or drawdown):
            return
        self.sights["both limits at one mark"] += daily and drawdown
        self.wish = None
        if holding is not None:
            self.sights[f"trip on the {PLACES[tick.number]}"] += 1
            self.close(self.market_px(-holding.side), Reason.BREAKER_DRAWDOWN if drawdown else Reason.BREAKER_DAILY)

    def carry_out(self, wish: Wish) -> None:
        """Do at the open what the closed bar asked for: exit, else amend, else enter."""
        holding = self.holding
        if holding is None:
            if wish.kind == "enter":
                self.enter(wish)
        elif wish.kind == "exit":
            self.close(self.market_px(-holding.side), wish.reason)
        elif holding.side * (self.mark_px(holding) - wish.sl_px) <= 0:
            self.sights["new stop on the wrong side"] += 1
            self.close(self.market_px(-holding.side), Reason.TRAIL)
        else:
            holding.sl_px = wish.sl_px

    def enter(self, wish: Wish) -> None:
        """Send an entry unless a breaker, the gap, its age or the margin forbids it (rules 25, 29, 37, 41)."""
        tick, params, instrument = self.tick, self.params, self.instrument
        price, volume = self.market_px(wish.side), wish.volume_cu
        held = money.margin(instrument, price, volume, tick.rate_e8)
        gap = Fraction(abs(tick.bid_px - wish.close_px), wish.close_px)
        reason = self.guards.blocked(wish.end_ms)
        if reason == 0 and params.open_gap_max_bp and gap > Fraction(params.open_gap_max_bp, 10_000):
            reason = Reason.OPEN_GAP
        if reason == 0 and params.decision_ttl_ms and tick.ts_ms > wish.end_ms + params.decision_ttl_ms:
            reason = Reason.DECISION_EXPIRED
        if reason == 0 and held > self.balance:
            reason = Reason.NOT_ENOUGH_MONEY
        if reason != 0:
            self.refuse(wish, reason)
            return
        charge = money.commission(instrument, price, volume, tick.rate_e8)
        sl_px, tp_px = price - wish.side * wish.sl_px, price + wish.side * wish.tp_px
        costs = (tick.bar, tick.spread_px, tick.slippage_px, charge, held)
        self.holding = Holding(wish.side, volume, price, sl_px, tp_px, sl_px, tick.ts_ms, *costs, wish.risk)

    def refuse(self, wish: Wish, reason: int) -> None:
        """Record that a signal came to nothing."""
        self.events.append(("REFUSAL", (wish.end_ms, wish.side, int(reason))))

    # ---- money and breakers (rules 7-9, 23 and 49-57)

    def close(self, price: int, reason: int) -> None:
        """Close the position at ``price``; count it, and test the limits against the balance after it."""
        holding, tick, instrument = self.holding, self.tick, self.instrument
        assert holding is not None
        digits, side, volume, rate_e8 = instrument.money_digits, holding.side, holding.volume_cu, tick.rate_e8
        gross = money.money(side * (price - holding.entry_px) * volume, rate_e8, digits)
        fee = money.fee(instrument, gross)
        charges = holding.commission_minor + money.commission(instrument, price, volume, rate_e8)
        net = gross + holding.swap_minor + charges + fee
        crossed_px = holding.spread_px if side > 0 else tick.spread_px  # once: where it bought
        slipped_px = holding.slippage_px + (0 if reason == Reason.TP else tick.slippage_px)
        paid = (-money.money(crossed_px * volume, rate_e8, digits), -money.money(slipped_px * volume, rate_e8, digits))
        levels = (holding.sl_first_px, holding.tp_px)
        deal = (holding.entry_ms, tick.ts_ms, side, volume, holding.entry_px, price, int(reason))
        self.events.append(("TRADE", (*deal, net, gross, holding.swap_minor, charges, fee, *paid, *levels)))
        self.risks.append(holding.risk)
        self.sights[f"exit {Reason(reason).name}"] += 1
        self.balance += net
        self.holding = None
        self.lows[-1] = min(self.lows[-1], self.balance)
        if self.trips(self.balance) != (False, False):
            cause = "the costs of a flatten" if reason in FLATTENED else Reason(reason).name
            self.sights[f"trip by {cause}"] += 1
        self.sights["zero net"] += net == 0
        self.guards.count(self.params, net, self.bars[tick.bar][1])

    def trips(self, equity: int) -> tuple[bool, bool]:
        """Test both loss limits; record and return what tripped now: daily loss, drawdown."""
        daily, drawdown = self.guards.trips(self.params, equity, self.tick.ts_ms)
        for reason, tripped in ((Reason.HALT_DRAWDOWN, drawdown), (Reason.DAILY_LOSS, daily)):
            if tripped:
                self.events.append(("TRIP", (self.tick.ts_ms, int(reason))))
        return daily, drawdown

    # ---- a bar's close (rules 24, 33, 42, 44, 52 and 56)

    def on_bar_close(self, index: int) -> None:
        """Update what closed bars move and make the bar's one decision."""
        params, (_, end_ms, _, high, low, close) = self.params, self.bars[index]
        equity = self.equity()
        periods = (params.rsi_period, params.atr_period if params.stop_kind == StopKind.ATR else 0)
        self.running = indicators.update(self.running, high, low, close, periods)
        value = indicators.rsi(self.running)
        self.rsi.append(value if self.running.bars > params.rsi_period else None)
        past = self.bars[index - params.spike_bars][5] if index >= params.spike_bars else None
        self.sights["re-armed"] += self.guards.bar_closed(params, equity, close, past, end_ms)
        self.wish = None
        if index + 1 < params.warmup_bars:
            return
        tick = self.tick
        seen = Close(end_ms, close, tick.spread_px, tick.slippage_px, tick.rate_e8, value, self.running.atr)
        if self.holding is not None:
            self.wish = self.manage(self.holding, seen, index - self.holding.bar + 1)
            if self.pauses(index) and (self.wish is None or self.wish.kind == "amend"):
                self.wish = Wish("exit", Reason.FLAT, self.holding.side, end_ms, close)
            return
        side, veto = signal(params, value, self.world.rows, end_ms)
        reason = veto or self.guards.blocked(end_ms) or (Reason.PAUSE_AHEAD if self.pauses(index) else 0)
        if side == 0:
            return
        wish = Wish("refuse", reason, side, end_ms, close)
        if reason == 0:
            wish = entry(params, self.instrument, seen._replace(gap_px=self.wide_gap(index)), side, equity)
        if wish.kind == "refuse":
            self.refuse(wish, wish.reason)
        else:
            self.wish = wish
            self.sights["sized by a gap"] += self.wide_gap(index) > wish.sl_px

    def pauses(self, index: int) -> bool:
        """Return whether a pause that the profile stays out of is ahead of bar ``index``."""
        kinds = self.params.flat_before
        return kinds > 0 and any(1 << bit & kinds & int(self.world.bars.ahead[index]) for bit in range(5))

    def wide_gap(self, index: int) -> int:
        """Return the quantile of the newest 250 open gaps; 0 where the profile does not ask or none is known."""
        share = self.params.gap_quantile
        gaps = [abs(bar[2] - before[5]) for before, bar in zip(self.bars, self.bars[1 : index + 1], strict=False)][
            -250:
        ]
        if not share or not gaps:
            return 0
        enough = [gap for gap in gaps if sum(other <= gap for other in gaps) >= share * len(gaps)]
        return int(min(enough))

    def manage(self, holding: Holding, seen: Close, bars_held: int) -> Wish | None:
        """Decide about the open position: leave, else move the stop, else nothing."""
        reason = wants_out(self.params, seen.rsi, holding.side, bars_held)
        if reason != 0:
            return Wish("exit", reason, holding.side, seen.end_ms, seen.close_px)
        level = trail_px(self.params, self.instrument.step_px, seen, holding.side)
        if level is None or holding.side * (level - holding.sl_px) <= 0:
            return None
        return Wish("amend", Reason.TRAIL, holding.side, seen.end_ms, seen.close_px, sl_px=level)

    # ---- what a world has shown

    def see_bar(self, index: int, number: int) -> None:
        """Note what is special about a bar while a position is open."""
        holding, (_, _, _, high, low, _) = self.holding, self.bars[index]
        if holding is None or number != 1:
            return
        spread = self.tick.spread_px if holding.side < 0 else 0
        adverse, favourable = (low, high) if holding.side > 0 else (high, low)
        stopped = holding.side * (adverse + spread - holding.sl_px) <= 0
        aimed = holding.side * (favourable + spread - holding.tp_px) >= 0
        self.sights["bar holds stop and target"] += stopped and aimed
        self.sights["zero-range bar while holding"] += high == low
        self.sights["spread wider than the range"] += high - low < self.tick.spread_px

    def see_touch(self, above_stop: int, above_target: int) -> None:
        """Note how near a tick came to the levels."""
        step, is_jump = self.instrument.step_px, self.tick.number == 0
        self.sights["stop touched exactly"] += above_stop == 0
        self.sights["stop missed by one step"] += above_stop == step
        self.sights["target touched exactly"] += above_target == 0
        self.sights["target missed by one step"] += above_target == -step
        self.sights["gap through the stop"] += is_jump and above_stop < 0
        self.sights["gap through the target"] += is_jump and above_target > 0

    def position(self) -> Position:
        """Return the open position as the core's value."""
        held = self.holding
        if held is None:
            return Position()
        levels = (held.sl_px, held.tp_px, held.sl_first_px)
        money_of = (held.swap_minor, held.commission_minor)
        return Position(held.side, held.volume_cu, held.entry_px, *levels, held.entry_ms, 0, *money_of)
