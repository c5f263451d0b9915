"""Where ticks and requests meet the account: what is due, what is touched, what is refused.

On a tick, in this order (PARITY 20-21): swaps and rolls that fell due since the tick before, by time; the protective
orders, by position id; the test for a stop-out. The quote itself is the broker's to tell, after all of it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from palmbot.calendar import is_open
from palmbot.core import fills
from palmbot.core.types import Reason
from palmbot.errors import InvariantError
from palmbot.exchange.account import NOTHING, Account, Booking, Held, Strike
from palmbot.exchange.feed import FeedTick, Rolls
from palmbot.model import Execution, IntentKind, OrderEvent, OrderIntent

_NONE = int(Reason.NONE)
_TP = int(Reason.TP)


class Refused(NamedTuple):
    """Why a request changes nothing, in the broker's words."""

    code: str
    text: str


class Matching:
    """One account against one market.

    Args:
        account: what is traded with.
        rolls: charged to positions that are open at their time.
        last: the last tick before, where this goes on from stored books.
    """

    def __init__(self, account: Account, rolls: Rolls = (), last: FeedTick | None = None) -> None:
        self.account = account
        self.last = last
        self.rejects_next = ""  # fault knob: an error code; the next good market order is accepted, then rejected
        self._rolls = rolls
        self._slippage = (0, 0)  # (bar open it belongs to, px)
        self._swap_ms = fills.NEVER_MS
        self._roll = len(rolls)
        self._due_ms = fills.NEVER_MS
        if last is not None:
            self._schedule(last.ts_ms)

    # -- ticks

    def tick(self, tick: FeedTick) -> Booking:
        """Let the market reach ``tick``; return what it did to the account.

        Raises:
            InvariantError: ``STOP_OUT_NOT_BUILT``, a broker would now close positions for lack of margin.
        """
        account = self.account
        if not account.positions:
            self.last = tick
            return NOTHING
        booked = self._charges(tick.ts_ms) if tick.ts_ms >= self._due_ms else NOTHING
        self.last = tick
        spread, slippage = tick.ask_px - tick.bid_px, self._slippage_px(tick)
        for held in tuple(account.positions.values()):
            reason, price = fills.protective_fill(held.core, tick.bid_px, spread, slippage, tick.is_jump)
            if reason != _NONE:
                strike = Strike(tick.ts_ms, price, tick.rate_e8, spread, 0 if reason == _TP else slippage)
                booked += account.hit(held, strike)
        if account.positions:
            self._refuse_stop_out(tick, spread)
        return booked

    def _slippage_px(self, tick: FeedTick) -> int:
        if self._slippage[0] != tick.bar_open_px:
            self._slippage = (tick.bar_open_px, fills.slippage_px(self.account.spec.core, tick.bar_open_px))
        return self._slippage[1]

    def _refuse_stop_out(self, tick: FeedTick, spread_px: int) -> None:
        equity, margin = self.account.equity_minor(tick.bid_px, spread_px, tick.rate_e8), self.account.used_margin_minor
        if 2 * equity < margin:
            raise InvariantError(
                "STOP_OUT_NOT_BUILT",
                "Risk less per trade or begin with a larger balance: equity fell below half of the used margin.",
                ts_ms=tick.ts_ms,
                equity_minor=equity,
                used_margin_minor=margin,
            )

    # -- what time brings

    def _schedule(self, after_ms: int) -> None:
        """Find the first swap and the first roll later than ``after_ms``."""
        self._swap_ms = fills.first_swap_ms(self.account.spec.core, after_ms)
        self._roll = bisect_right(self._rolls, after_ms, key=lambda roll: roll[0])
        self._due_ms = min(self._swap_ms, self._roll_ms())

    def _roll_ms(self) -> int:
        return self._rolls[self._roll][0] if self._roll < len(self._rolls) else fills.NEVER_MS

    def _charges(self, until_ms: int) -> Booking:
        """Charge what falls due up to ``until_ms``, a swap before a roll, on the last tick before it (PARITY 46-47)."""
        account, last, booked = self.account, self.last, NOTHING
        if last is None:
            raise InvariantError("NO_TICK_YET", "Report this: a position is open in a market that never quoted.")
        core = account.spec.core
        while self._due_ms <= until_ms:
            now_ms, is_swap = self._due_ms, self._swap_ms == self._due_ms
            for held in tuple(account.positions.values()):
                side, volume = held.core.side, held.core.volume_cu
                if is_swap:
                    charge = fills.swap_minor(core, side, last.bid_px, volume, last.rate_e8, now_ms)
                else:
                    charge = fills.roll_minor(core, side, self._rolls[self._roll][1], volume, last.rate_e8)
                booked += account.charge(held, charge, now_ms)
            if is_swap:
                self._swap_ms += core.swap_period_ms
            else:
                self._roll += 1
            self._due_ms = min(self._swap_ms, self._roll_ms())
        return booked

    # -- requests

    def request(self, intent: OrderIntent) -> Booking:
        """Carry out ``intent`` at the last tick, or say why not: a refusal is an event, never an exception."""
        last = self.last
        if intent.symbol != self.account.spec.symbol:
            return _refusal(intent, last, Refused("SYMBOL_NOT_FOUND", f"Symbol not found: {intent.symbol}"))
        if last is None:
            return _refusal(intent, last, Refused("MARKET_CLOSED", "There is no quote yet"))
        if not is_open(last.ts_ms, self.account.spec.session):
            return _refusal(intent, last, Refused("MARKET_CLOSED", "The market is closed"))
        if intent.kind is IntentKind.ENTER:
            return self._enter(intent, last)
        held = self.account.positions.get(intent.position_id)
        if held is None:
            text = f"Position not found with id {intent.position_id}"
            return _refusal(intent, last, Refused("POSITION_NOT_FOUND", text))
        return self._amend(intent, held, last) if intent.kind is IntentKind.AMEND else self._close(intent, held, last)

    def _strike(self, side: int, last: FeedTick) -> Strike:
        """Return how a market order of ``side`` fills at the quotes of ``last`` (PARITY 19)."""
        spread, slippage = last.ask_px - last.bid_px, self._slippage_px(last)
        price = fills.market_px(side, last.bid_px, spread, slippage)
        return Strike(last.ts_ms, price, last.rate_e8, spread, slippage)

    def _enter(self, intent: OrderIntent, last: FeedTick) -> Booking:
        refused = self._refuses_shape(intent)
        if refused is None:
            strike = self._strike(intent.side, last)
            refused = self._refuses_margin(intent, strike)
        if refused is not None:
            return _refusal(intent, last, refused)
        if self.rejects_next:
            code, self.rejects_next = self.rejects_next, ""
            return self.account.reject(intent, last.ts_ms, code)
        booked = self.account.enter(intent, strike)
        self._schedule(last.ts_ms)
        return booked

    def _refuses_shape(self, intent: OrderIntent) -> Refused | None:
        step_px = self.account.spec.core.step_px
        if intent.side not in {1, -1}:
            return Refused("INVALID_REQUEST", "A market order buys or sells")
        if not self._is_volume(intent.volume_cu):
            return Refused("TRADING_BAD_VOLUME", f"Volume {intent.volume_cu} is outside minimum, maximum or step")
        for leg, distance_px in (("stop loss", intent.sl_px), ("take profit", intent.tp_px)):
            if distance_px <= 0 or distance_px % step_px != 0:
                return Refused("INVALID_REQUEST", f"Relative {leg} has invalid precision: {distance_px}")
        return None

    def _refuses_margin(self, intent: OrderIntent, strike: Strike) -> Refused | None:
        """Compare the margin at the fill price with what is free (PARITY 41)."""
        account, rate = self.account, strike.rate_e8
        margin = fills.margin_minor(account.spec.core, strike.price_px, intent.volume_cu, rate)
        free = account.balance_minor
        if account.positions and self.last is not None:
            free = account.equity_minor(self.last.bid_px, strike.spread_px, rate) - account.used_margin_minor
        if margin > free:
            return Refused("NOT_ENOUGH_MONEY", f"Margin {margin} is more than the free {free}, in minor units")
        return None

    def _is_volume(self, volume_cu: int) -> bool:
        core = self.account.spec.core
        return core.volume_min_cu <= volume_cu <= core.volume_max_cu and volume_cu % core.volume_step_cu == 0

    def _amend(self, intent: OrderIntent, held: Held, last: FeedTick) -> Booking:
        side, step_px = held.core.side, self.account.spec.core.step_px
        mark = fills.mark_px(side, last.bid_px, last.ask_px - last.bid_px)
        levels = (intent.sl_px, intent.tp_px)
        if min(levels) <= 0 or (mark - intent.sl_px) * side <= 0 or (intent.tp_px - mark) * side <= 0:
            text = f"Stop {intent.sl_px} and target {intent.tp_px} must lie around the current price {mark}"
            return _refusal(intent, last, Refused("TRADING_BAD_STOPS", text))
        if any(level % step_px != 0 for level in levels):
            return _refusal(intent, last, Refused("TRADING_BAD_PRICES", "A level has more digits than the symbol"))
        return self.account.amend(held, intent, last.ts_ms)

    def _close(self, intent: OrderIntent, held: Held, last: FeedTick) -> Booking:
        rest_cu = held.core.volume_cu - intent.volume_cu
        if rest_cu != 0 and not (self._is_volume(intent.volume_cu) and self._is_volume(rest_cu)):
            text = f"Volume {intent.volume_cu} cannot be closed of {held.core.volume_cu}"
            return _refusal(intent, last, Refused("TRADING_BAD_VOLUME", text))
        strike = self._strike(-held.core.side, last)
        return self.account.close(held, intent.volume_cu, intent.client_order_id, strike)


def _refusal(intent: OrderIntent, last: FeedTick | None, refused: Refused) -> Booking:
    ts_ms = intent.ts_ms if last is None else last.ts_ms
    event = OrderEvent(
        Execution.ERROR,
        ts_ms,
        error_code=refused.code,
        error_text=refused.text,
        request_id=intent.client_order_id,
    )
    return Booking((event,))
