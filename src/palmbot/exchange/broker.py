"""The simulated cTrader in memory, behind the ports ``Quotes`` and ``Trading``: same events, no wire.

One account of an engine, seen as the bot sees a broker. What the wire says beyond the bot's own values is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from palmbot.errors import RejectedError
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.pacer import Pace
from palmbot.exchange.translation import bot_cash, bot_fill, event_of, refusal_of, request_of, snapshot_of
from palmbot.exchange.values import DealStatus, Report, Told
from palmbot.model import AccountSnapshot, Fill, HistoryBar, LinkEvent, LinkState, OrderIntent, Quote
from palmbot.ports import Inbox

ACCOUNT_ID = 1  # of a bot that has the exchange to itself
_MOVED = frozenset({DealStatus.FILLED, DealStatus.PARTIALLY_FILLED})


class Broker:
    """One account, the traded symbol, one listener.

    Args:
        engine: the exchange in motion.
        inbox: where events go.
        account_id: whose.
    """

    def __init__(self, engine: Engine, inbox: Inbox, account_id: int = ACCOUNT_ID) -> None:
        self.engine = engine
        self.account_id = account_id
        self._inbox = inbox
        self._listing = engine.venue.catalogue.traded
        self._symbol = self._listing.name
        engine.add_listener(self)

    # -- ports.Quotes

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        """Return up to ``count`` bars up to now, oldest first: those before the feed's start, then what was sent.

        The newest is forming when its bucket has not ended. A file has no bars before its start.

        Raises:
            RejectedError: there is no such symbol.
        """
        self._require(symbol)
        prices = self.engine.venue.prices[self._listing.symbol_id]
        return tuple(prices.history(period_ms, count)) if count > 0 else ()

    async def subscribe(self, symbol: str) -> None:
        """Begin to deliver quotes to the inbox, from the next tick on. The market stands still until then.

        Raises:
            RejectedError: there is no such symbol.
        """
        self._require(symbol)
        self.engine.start()

    # -- ports.Trading

    async def account(self) -> AccountSnapshot:
        """Return the account with its open positions and protective orders."""
        return snapshot_of(self.engine.venue.accounts[self.account_id], self._symbol)

    async def submit(self, intent: OrderIntent) -> None:
        """Carry out ``intent`` at the current quotes; fill or refusal arrive in the inbox.

        Raises:
            HaltError: the books cannot be written; nothing was told.
        """
        request = request_of(intent, self.engine.venue.catalogue)
        refused = self.engine.request(self.account_id, request, intent.client_order_id)
        if refused is not None:
            last = self.engine.venue.last(self._listing.symbol_id)
            ts_ms = intent.ts_ms if last is None else self.engine.venue.now_ms
            self._inbox.put(refusal_of(refused, ts_ms, intent.client_order_id))

    async def deals(self, position_id: int) -> tuple[Fill, ...]:
        """Return all deals of a position, also of one that was closed while the bot was away."""
        found = self.engine.books.history.deals_of_position(self.account_id, position_id)
        return tuple(bot_fill(view) for view in reversed(found) if view.status in _MOVED)

    # -- what the wire has lists or no words for

    def costs(self) -> tuple[int, int]:
        """Return what was paid in spread and slippage over all closed volume, in minor units <= 0."""
        return self.engine.books.costs()

    def reject_next(self, error_code: str) -> None:
        """Let the next good market order be accepted and then rejected with ``error_code``: a fault to test with."""
        self.engine.venue.reject_next(error_code)

    async def run(self, pace: Pace | None = None) -> None:
        """Run the market from the first subscription until the feed ends, as ``Engine.run``."""
        await self.engine.run(pace)

    # -- engine.Listener

    def told(self, account_id: int, told: Told) -> None:
        """Pass an event of the account on."""
        if account_id != self.account_id or not isinstance(told, Report):
            return
        if told.cash is not None:
            self._inbox.put(bot_cash(told.cash))
        else:
            self._inbox.put(event_of(told, self._symbol))

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Pass a quote of the traded symbol on."""
        if symbol_id == self._listing.symbol_id:
            self._inbox.put(Quote(self._symbol, tick.ts_ms, tick.bid_px, tick.ask_px, tick.rate_e8))

    def ended(self) -> None:
        """Pass on that there is nothing more to come."""
        self._inbox.put(LinkEvent(self.engine.venue.now_ms, LinkState.READY, "the feed ended", ended=True))

    def _require(self, symbol: str) -> None:
        if symbol != self._symbol:
            todo = "Name a symbol that this account can trade."
            raise RejectedError("SYMBOL_NOT_FOUND", todo, symbol=symbol, known=self._symbol)
