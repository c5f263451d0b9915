"""A replay by hand: PARITY rules 1-59 in plain Python on exact integers, slowly, one event after the other.

Written from the rules, not from ``palmbot.core``. It shares with the core the value types, the enums, and the float
arithmetic of RSI and ATR; everything else (paths, touches, money, breakers, sizing) is said a second time here.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from palmbot.core import indicators
from palmbot.core.types import CommissionKind, CostKind, Indicators, Instrument, Params, Reason, StopKind, SwapKind
from tests.replay_worlds import World

DAY_MS = 86_400_000
TICK_MS = 15_000
R = Reason


def nearest(numerator: int, denominator: int) -> int:
    """Return the integer nearest to ``numerator / denominator``, ties away from zero."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def stepped(value: Fraction, step_px: int) -> int:
    """Return ``value`` rounded half up to a multiple of ``step_px``."""
    return math.floor(value / step_px + Fraction(1, 2)) * step_px


def money(px_cu: int, rate_e8: int, money_digits: int) -> int:
    """Return ``px x cu`` at a rate in minor units, rounded once (rule 7: x 10^(money_digits - 7))."""
    return nearest(px_cu * rate_e8 * 10**money_digits, 10**15)


def commission(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return the charge of one side, <= 0 (rule 8; scales of the protocol sheet 5.5)."""
    exact = exact_commission(instrument, price_px, volume_cu, rate_e8)
    if instrument.commission_rate == 0:
        return 0
    return -max(nearest(exact.numerator, exact.denominator), instrument.commission_min_minor)


def exact_commission(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> Fraction:
    """Return the charge of one side in minor units, >= 0, unrounded."""
    rate = Fraction(instrument.commission_rate)
    conversion = Fraction(rate_e8, 10**8)
    lots = Fraction(volume_cu, instrument.lot_cu)
    if instrument.commission_kind == CommissionKind.PER_LOT_DEPOSIT:
        charge = lots * rate / 10**8
    elif instrument.commission_kind == CommissionKind.PER_LOT_QUOTE:
        charge = lots * rate / 10**8 * conversion
    else:
        value = Fraction(price_px, 10**5) * Fraction(volume_cu, 100)
        charge = value * (rate / 10**5) / 100 * conversion
    return charge * 10**instrument.money_digits


def swap(instrument: Instrument, side: int, bid_px: int, volume_cu: int, rate_e8: int, instant_ms: int) -> int:
    """Return one charge (rule 46): none on Saturday and Sunday, three-fold on the rollover day, rounded once."""
    weekday = (instant_ms // DAY_MS + 3) % 7
    times = 0 if weekday in {5, 6} else 3 if weekday == instrument.swap_triple_weekday else 1
    rate = Fraction(times * (instrument.swap_long if side > 0 else instrument.swap_short))
    units, conversion = Fraction(volume_cu, 100), Fraction(rate_e8, 10**8)
    if instrument.swap_kind == SwapKind.PRICE:
        charge = rate / 10**10 * units * conversion
    else:
        charge = Fraction(bid_px, 10**5) * units * conversion * (rate / 10**5) / 100 / 360
    charge *= 10**instrument.money_digits
    return nearest(charge.numerator, charge.denominator)


def cost(kind: int, value: int, open_px: int, step_px: int) -> int:
    """Return a spread or slippage (rule 4): points, or a share of the bar's open rounded to the step."""
    return value if kind == CostKind.POINTS else stepped(Fraction(open_px * value, 10**6), step_px)


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
    commission_minor: int
    bar: int
    spread_px: int
    slippage_px: int
    margin: Fraction
    risk: Fraction
    swap_minor: int = 0


class Wish(NamedTuple):
    """What a bar's close asks for at the next open; ``sl_px`` and ``tp_px`` are distances of an entry, else levels."""

    kind: str
    reason: int
    side: int
    end_ms: int
    close_px: int
    volume_cu: int = 0
    sl_px: int = 0
    tp_px: int = 0
    risk: Fraction = Fraction(0)


class Tick(NamedTuple):
    ts_ms: int
    bar: int
    number: int
    bid_px: int
    spread_px: int
    slippage_px: int
    rate_e8: int


@dataclass
class Oracle:
    """The account while it lives through a world. ``live()`` plays everything; the fields are the outcome."""

    world: World
    events: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    risks: list[Fraction] = field(default_factory=list)  # exact planned loss of each trade, minor units
    sights: Counter[str] = field(default_factory=Counter)  # what this world has shown, for coverage
    equities: list[int] = field(default_factory=list)
    lows: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    rsi: list[float] = field(default_factory=list)
    holding: Holding | None = None
    wish: Wish | None = None
    tick: Tick | None = None
    stopped_out_ms: int = 0
    day_tripped: bool = False
    halted: bool = False
    halted_ms: int = 0
    losses: int = 0
    cooldown_until_ms: int = 0
    pause_until_ms: int = 0
    high_first: bool = False

    def __post_init__(self) -> None:
        world = self.world
        self.params: Params = world.run.params
        self.instrument: Instrument = world.run.instrument
        self.balance = self.peak = self.day_open = world.balance_minor
        self.bars: list[tuple[int, ...]] = list(
            zip(*(column.tolist() for column in world.bars[:6]), strict=True),
        )
        self.rates: list[int] = world.bars.rate_e8.tolist() or [10**8] * len(self.bars)
        self.running = Indicators()
        start_ms = self.instrument.day_start_ms
        self.day_start = (self.bars[0][0] - start_ms) // DAY_MS * DAY_MS + start_ms

    # ---- order of events (rules 12-13, 20)

    def timeline(self) -> list[tuple[int, int, int, int]]:
        """Return ``(time, rank, first number, second number)``; rank: swap 0, roll 1, day 2, bar close 3, tick 4."""
        first_ms, last_ms = self.bars[0][0], self.bars[-1][0] + 3 * TICK_MS
        line = [(bar[0] + n * TICK_MS, 4, i, n) for i, bar in enumerate(self.bars) for n in range(4)]
        line += [(bar[1], 3, i, 0) for i, bar in enumerate(self.bars[:-1])]
        line += [(ts, 2, ts, 0) for ts in range(self.day_start + DAY_MS, last_ms + 1, DAY_MS)]
        rolls = zip(self.world.rolls.ts_ms.tolist(), self.world.rolls.gap_px.tolist(), strict=True)
        line += [(ts, 1, gap, 0) for ts, gap in rolls if ts <= last_ms]
        if self.instrument.swap_long or self.instrument.swap_short:
            ts = self.instrument.swap_time_ms + first_ms // DAY_MS * DAY_MS - DAY_MS
            line += [(at, 0, 0, 0) for at in range(ts, last_ms + 1, self.instrument.swap_period_ms) if at > first_ms]
        return sorted(line)

    def live(self) -> Oracle:
        """Play the whole world."""
        for ts_ms, rank, first, second in self.timeline():
            if rank == 4:
                self.on_tick(first, second)
            elif rank == 3:
                self.on_bar_close(first)
            elif rank == 2:
                self.day_start, self.day_open, self.day_tripped = ts_ms, self.equity(), False
                self.sights["day boundary inside a bar"] += self.tick is not None and self.tick.number < 3
                self.sights["day boundary at a bar's close"] += any(bar[1] == ts_ms for bar in self.bars)
            elif self.holding is not None and self.tick is not None:
                holding, rate_e8 = self.holding, self.tick.rate_e8
                side, volume, digits = holding.side, holding.volume_cu, self.instrument.money_digits
                if rank == 0:
                    charge = swap(self.instrument, side, self.tick.bid_px, volume, rate_e8, ts_ms)
                else:
                    charge = money(-side * first * volume, rate_e8, digits)
                holding.swap_minor += charge
                self.sights[("swap", "roll")[rank] + " charged"] += charge != 0
        return self

    # ---- marks (rules 5, 11)

    def mark_px(self) -> int:
        """Return the price at which the holding could be closed, slippage aside."""
        tick, holding = self.tick, self.holding
        assert tick is not None and holding is not None
        return tick.bid_px if holding.side > 0 else tick.bid_px + tick.spread_px

    def equity(self) -> int:
        """Return equity at the last mark."""
        holding = self.holding
        if holding is None or self.tick is None:
            return self.balance
        moved = holding.side * (self.mark_px() - holding.entry_px) * holding.volume_cu
        gross = money(moved, self.tick.rate_e8, self.instrument.money_digits)
        return self.balance + gross + holding.swap_minor + holding.commission_minor

    # ---- a tick (rules 12-19, 21-25)

    def on_tick(self, bar: int, number: int) -> None:
        ts_ms, _, opened, high, low, close = self.bars[bar]
        if number == 0:
            self.lows.append(1 << 62)
            self.held.append(0)
        if number == 1:
            self.high_first = self.holding is not None and self.holding.side < 0
        first, second = (high, low) if self.high_first else (low, high)
        instrument, step = self.instrument, self.instrument.step_px
        spread = cost(instrument.spread_kind, instrument.spread, opened, step)
        slippage = cost(instrument.slippage_kind, instrument.slippage, opened, step)
        bid = (opened, first, second, close)[number]
        self.tick = Tick(ts_ms + number * TICK_MS, bar, number, bid, spread, slippage, self.rates[bar])
        self.sights["spread wider than the range"] += number == 0 and 0 < high - low < spread
        self.sights["zero-range bar held"] += number == 3 and high == low and self.holding is not None
        self.held[-1] |= self.holding is not None
        self.protect()
        self.watch()
        wish, self.wish = self.wish, None if number == 0 else self.wish
        if number == 0 and wish is not None:
            self.carry_out(wish)
        self.held[-1] |= self.holding is not None
        if number == 3:
            self.equities.append(self.equity())
            self.lows[-1] = min(self.lows[-1], self.equities[-1])

    def protect(self) -> None:
        """Fill the broker's stop or target if this tick touches it, the stop first."""
        holding, tick = self.holding, self.tick
        if holding is None or tick is None:
            return
        side, mark, is_jump = holding.side, self.mark_px(), tick.number == 0
        over_stop, over_target = side * (mark - holding.sl_px), side * (mark - holding.tp_px)
        self.see_touches(over_stop, over_target, is_jump)
        if over_stop <= 0:
            reason = R.SL if holding.sl_px == holding.sl_first_px else R.TRAIL
            self.close((mark if is_jump else holding.sl_px) - side * tick.slippage_px, reason)
        elif over_target >= 0:
            self.close(mark if is_jump else holding.tp_px, R.TP)

    def watch(self) -> None:
        """Test the loss limits at the mark; a trip closes at this tick and drops what is pending."""
        tick = self.tick
        assert tick is not None
        equity = self.equity()
        if self.holding is not None:
            self.lows[-1] = min(self.lows[-1], equity)
            if equity < self.holding.margin / 2 and self.stopped_out_ms == 0:
                self.stopped_out_ms = tick.ts_ms
        daily, drawdown = self.trips(equity)
        if not (daily or drawdown):
            return
        self.wish = None
        if self.holding is not None:
            where = ("open", "first extreme", "second extreme", "close")[tick.number]
            self.sights[f"trip on the {where}"] += 1
            self.close(self.market_px(-self.holding.side), R.BREAKER_DRAWDOWN if drawdown else R.BREAKER_DAILY)

    def market_px(self, side: int) -> int:
        """Return the fill of a market order of ``side`` at this tick."""
        assert self.tick is not None
        bid, spread, slippage = self.tick.bid_px, self.tick.spread_px, self.tick.slippage_px
        return bid + spread + slippage if side > 0 else bid - slippage

    def carry_out(self, wish: Wish) -> None:
        """Do at the open tick what the closed bar asked for: exit, else amend, else enter."""
        holding = self.holding
        if holding is not None:
            if wish.kind == "exit":
                self.close(self.market_px(-holding.side), wish.reason)
            elif wish.kind == "amend" and holding.side * (self.mark_px() - wish.sl_px) <= 0:
                self.close(self.market_px(-holding.side), R.TRAIL)
            elif wish.kind == "amend":
                holding.sl_px = wish.sl_px
        elif wish.kind == "enter":
            self.enter(wish)

    def enter(self, wish: Wish) -> None:
        """Send an entry unless breaker, gap, age or margin forbids it (rules 19, 25, 29, 37, 41)."""
        tick, instrument = self.tick, self.instrument
        assert tick is not None
        reason = self.blocked(wish.end_ms)
        gap_max, ttl_ms = self.params.open_gap_max_bp, self.params.decision_ttl_ms
        if not reason and gap_max and abs(tick.bid_px - wish.close_px) * 10_000 > gap_max * wish.close_px:
            reason = R.OPEN_GAP
        if not reason and ttl_ms and tick.ts_ms - wish.end_ms > ttl_ms:
            reason = R.DECISION_EXPIRED
        price, volume = self.market_px(wish.side), wish.volume_cu
        value = Fraction(price * volume * tick.rate_e8 * 10**instrument.money_digits, 10**15)
        margin = Fraction(nearest(value.numerator, value.denominator * instrument.leverage))
        if not reason and margin > self.balance:
            reason = R.NOT_ENOUGH_MONEY
        if reason:
            self.events.append(("refusal", (wish.end_ms, wish.side, reason)))
            return
        charge = commission(instrument, price, volume, tick.rate_e8)
        sl_px, tp_px = price - wish.side * wish.sl_px, price + wish.side * wish.tp_px
        costs = (tick.bar, tick.spread_px, tick.slippage_px)
        self.holding = Holding(
            wish.side, volume, price, sl_px, tp_px, sl_px, tick.ts_ms, charge, *costs, margin, wish.risk
        )

    # ---- money and breakers (rules 7-9, 23, 49-57)

    def close(self, price: int, reason: int) -> None:
        """Close the holding at ``price``; count it and test the limits against the balance after it."""
        holding, tick, instrument = self.holding, self.tick, self.instrument
        assert holding is not None and tick is not None
        digits, side, volume, rate_e8 = instrument.money_digits, holding.side, holding.volume_cu, tick.rate_e8
        gross = money(side * (price - holding.entry_px) * volume, rate_e8, digits)
        fee = -nearest(abs(gross) * instrument.conversion_fee_bp, 10_000)
        charges = holding.commission_minor + commission(instrument, price, volume, rate_e8)
        net = gross + holding.swap_minor + charges + fee
        spread = holding.spread_px if side > 0 else tick.spread_px
        slippage = holding.slippage_px + (0 if reason == R.TP else tick.slippage_px)
        crossed = (-money(spread * volume, rate_e8, digits), -money(slippage * volume, rate_e8, digits))
        deal = (holding.entry_ms, tick.ts_ms, side, volume, holding.entry_px, price, int(reason))
        self.events.append(("trade", (*deal, net, gross, holding.swap_minor, charges, fee, *crossed)))
        self.risks.append(holding.risk)
        self.sights[f"exit {R(reason).name}"] += 1
        self.balance += net
        self.holding = None
        self.lows[-1] = min(self.lows[-1], self.balance)
        daily, drawdown = self.trips(self.balance)
        flattened = reason in {R.BREAKER_DAILY, R.BREAKER_DRAWDOWN}
        self.sights[f"trip by {'the costs of a flatten' if flattened else R(reason).name}"] += daily or drawdown
        if net < 0:
            self.losses += 1
            if self.losses == self.params.losses_max:
                self.losses, self.cooldown_until_ms = 0, self.bars[tick.bar][1] + self.params.cooldown_ms
        elif net > 0:
            self.losses = 0
        self.sights["zero net"] += net == 0

    def trips(self, equity: int) -> tuple[bool, bool]:
        """Test both loss limits; record and return what tripped now: daily loss, drawdown."""
        assert self.tick is not None
        at_ms, params = self.tick.ts_ms, self.params
        daily_bp, drawdown_bp = params.daily_loss_bp, params.drawdown_bp
        daily = not self.day_tripped and 0 < daily_bp * self.day_open <= (self.day_open - equity) * 10_000
        drawdown = not self.halted and 0 < drawdown_bp * self.peak <= (self.peak - equity) * 10_000
        if drawdown:
            self.halted, self.halted_ms = True, at_ms
            self.events.append(("trip", (at_ms, R.HALT_DRAWDOWN)))
        if daily:
            self.day_tripped = True
            self.events.append(("trip", (at_ms, R.DAILY_LOSS)))
        return daily, drawdown

    def blocked(self, decision_ms: int) -> int:
        """Return the first breaker, in the order of ``Reason``, that blocks an entry; 0 when none does."""
        blocks = {
            R.HALT_DRAWDOWN: self.halted,
            R.DAILY_LOSS: self.day_tripped,
            R.LOSS_STREAK: decision_ms < self.cooldown_until_ms,
            R.VOLATILITY_SPIKE: decision_ms < self.pause_until_ms,
        }
        return min((int(reason) for reason, holds in blocks.items() if holds), default=0)
