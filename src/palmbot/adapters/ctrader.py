"""The broker behind the ports ``Quotes`` and ``Trading``: a cTrader account over the Open API, or our own exchange.

What happens comes as events into the inbox, in the order in which the broker told it: quotes with both sides, orders
and deals of this account, and that the link was lost or is there again. Between ``LOST`` and ``READY`` nothing comes,
and what happened meanwhile is never told: whoever hears ``READY`` reads account, deals and bars.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from palmbot.adapters.ctrader_account import Holdings, read_account, read_deals
from palmbot.adapters.ctrader_history import Grid, Wanted, marked, read_bars
from palmbot.adapters.ctrader_keeper import Keeper, KeeperWires, Patience
from palmbot.adapters.ctrader_link import Dial, Link
from palmbot.adapters.ctrader_login import Facts, TokenSource
from palmbot.adapters.ctrader_spots import Spots
from palmbot.errors import HaltError, RejectedError, RetryError
from palmbot.model import (
    AccountSnapshot,
    BrokerEvent,
    CashEvent,
    Fill,
    HistoryBar,
    IntentKind,
    LinkEvent,
    LinkState,
    OrderEvent,
    OrderIntent,
)
from palmbot.ports import Clock, Inbox
from palmbot.protocol.codec import LATEST_MS, event_of, request_of
from palmbot.protocol.codec_errors import Declined, error_of, order_error_of
from palmbot.protocol.codes import Reaction
from palmbot.protocol.events import Received
from palmbot.protocol.messages import pb
from palmbot.settings import CtraderCredentials, Environment

HELD_MAX = 10_000  # events that may come before the first login is complete


@dataclass(frozen=True, slots=True)
class CtraderConfig:
    """Who trades what. ``day_start_ms`` anchors daily bars, as in the instrument."""

    credentials: CtraderCredentials
    symbol: str
    day_start_ms: int
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class CtraderWires:
    """The outside. ``on_received`` is called when everything that arrived together has been put into the inbox."""

    dial: Dial
    clock: Clock
    rng: random.Random
    tokens: TokenSource
    inbox: Inbox
    on_received: Callable[[], None]


class Ctrader:
    """One account, one symbol, one inbox. ``run`` must run beside whoever calls the ports."""

    def __init__(self, config: CtraderConfig, wires: CtraderWires) -> None:
        self._config = config
        self._wires = wires
        keeper_wires = KeeperWires(wires.dial, wires.clock, wires.rng, wires.tokens)
        self._keeper = Keeper(self, keeper_wires, config.credentials, config.symbol, config.patience)
        self._is_paper = config.credentials.environment is Environment.PAPER
        self._facts: Facts | None = None
        self._spots: Spots | None = None
        self._held: list[tuple[Received, Declined | None]] = []  # what came before the first login was complete
        self._asked: dict[str, str] = {}  # message id of this link's open requests -> client order id
        self._holdings = Holdings()
        self._is_wanted = False  # quotes were subscribed to
        self._is_listening = False  # this session subscribed to them
        self._is_lost = False
        self._losses = 0  # sessions that ended

    async def run(self) -> None:
        """Keep the session until cancelled.

        Raises:
            ConfigError: a person must change a setting.
            RejectedError: a person must log in again.
            RefusedError: the account is of another environment.
            HaltError: the broker has locked us out.
            InvariantError: a bug.
        """
        await self._keeper.run()

    @property
    def is_ready(self) -> bool:
        """Whether a request would be written now."""
        return self._keeper.is_ready

    @property
    def frames_received(self) -> int:
        """Frames that came over the present link; what they told is in the inbox."""
        return self._keeper.frames_received

    def abort(self, reason: str) -> None:
        """Cut the link so that nothing written before can still leave: to be done before looking for it (SAFETY 6)."""
        self._keeper.abort(reason)

    # -- ports.Quotes

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:
        """Return up to ``count`` bars up to now, oldest first, on our own grid; the newest may be forming.

        Raises:
            RejectedError: not this symbol, or no such bars can be made.
            RetryError: the link is down, or the quota of history is used up.
        """
        self._require(symbol)
        link = await self._keeper.ready()
        if self._is_paper:  # its market clock is the newest quote; the first comes before the bars that are asked for
            await self._listen(link)
        spots, facts = self._known()
        grid = Grid(period_ms, self._config.day_start_ms)
        now_ms = spots.newest_ms if self._is_paper else self._wires.clock.utc_ms()
        wanted = Wanted(grid, count, LATEST_MS if now_ms is None else now_ms, spots.bid_px)
        bars = await read_bars(link, self._wires.clock, facts.terms, wanted)
        if self._is_paper:  # the newest bar holds the newest quote, so it has not ended; without any, all bars have
            now_ms = None if spots.newest_ms is None or not bars else bars[-1].ts_ms
        return marked(bars, grid, now_ms)

    async def subscribe(self, symbol: str) -> None:
        """Let quotes flow into the inbox from now on, the present one first; also after the link was lost.

        Raises:
            RejectedError: not this symbol.
            RetryError: the link is down. The quotes flow when it is back.
        """
        self._require(symbol)
        link = await self._keeper.ready()
        was_listening, self._is_wanted = self._is_listening, True
        await self._listen(link)
        quote = self._known()[0].last()
        if was_listening and quote is not None:
            self._put(quote)

    # -- ports.Trading

    async def account(self) -> AccountSnapshot:
        """Return the account, read until two answers agree.

        Raises:
            RetryError: the link is down, or no two answers agree.
        """
        link = await self._keeper.ready()
        return await read_account(link, self._wires.clock, self._known()[1].terms, self._holdings)

    async def deals(self, position_id: int) -> Sequence[Fill]:
        """Return all deals of a position, oldest first.

        Raises:
            RetryError: the link is down.
        """
        link = await self._keeper.ready()
        return await read_deals(link, self._known()[1].terms, position_id)

    async def submit(self, intent: OrderIntent) -> None:
        """Write ``intent`` at once, or not at all: there is no await between the call and the bytes.

        Raises:
            RetryError: it was certainly not written: the link is down, or an entry would not leave at once.
            OutcomeUnknownError: the link died while it was written.
            InvariantError: it has no stop, or a price off the symbol's grid.
        """
        link = self._keeper.link()
        if link.is_congested and intent.kind is IntentKind.ENTER:
            raise RetryError("LINK_CONGESTED", "Send it again later: what was written before has not left.")
        client_msg_id = link.tell(request_of(intent, self._known()[1].terms))
        self._asked[client_msg_id] = intent.client_order_id

    # -- what the session tells

    def on_facts(self, facts: Facts) -> None:
        """Take in what the first login learned, then everything that came meanwhile."""
        self._facts = facts
        self._spots = Spots(facts.terms.symbol, facts.terms.symbol_id, facts.chain)
        held, self._held = self._held, []
        for event, declined in held:
            self.on_message(event, declined)

    async def on_ready(self, link: Link) -> None:
        """Subscribe again."""
        if self._is_wanted:
            await self._listen(link)

    def on_state(self, state: LinkState, reason: str) -> None:
        """Tell that the session was lost or is there again; nothing of the first login before it is complete."""
        is_news = self._facts is not None and (state is LinkState.LOST) != self._is_lost
        self._is_lost = state is LinkState.LOST
        if self._is_lost:
            self._is_listening = False
            self._losses += 1
            self._held.clear()
            self._asked.clear()
            if self._spots is not None:
                self._spots.forget()
        if is_news:
            self._wires.inbox.put(LinkEvent(self._now_ms(), state, reason))

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Take in a quote."""
        spots = self._spots
        if spots is None or spot.ctidTraderAccountId != self._keeper.account_id:
            return
        quote = spots.take(spot, self._now_ms())
        if quote is not None and self._is_wanted:
            self._put(quote)

    def on_batch(self) -> None:
        """Wake whoever waits for what arrived."""
        self._wires.on_received()

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in what is about orders, positions and money of this account."""
        if self._facts is None:
            if len(self._held) >= HELD_MAX:
                raise HaltError("LOGIN_FLOODED", "Connect again: too much came before the login was complete.")
            self._held.append((event, declined))
            return
        request_id = self._asked.get(event.client_msg_id, "")
        if event.is_final:
            self._asked.pop(event.client_msg_id, None)
        message = event.message
        if isinstance(message, pb.ExecutionEvent):
            self._hear(message, request_id)
        elif declined is not None and (request_id or self._is_order_error(message)):
            self._put(order_error_of(declined, self._now_ms(), request_id))

    def _is_order_error(self, message: object) -> bool:
        return isinstance(message, pb.OrderErrorEvent) and message.ctidTraderAccountId == self._keeper.account_id

    def _hear(self, message: pb.ExecutionEvent, request_id: str) -> None:
        terms = self._known()[1].terms
        if message.ctidTraderAccountId != terms.account_id:
            return
        event = event_of(message, terms, self._now_ms(), request_id)
        if event is None:
            return
        if isinstance(event, OrderEvent):
            self._holdings.hear(event)
        if isinstance(event, CashEvent) or self._concerns(event):
            self._put(event)

    def _concerns(self, event: OrderEvent) -> bool:
        """Return whether an event is about the traded symbol, or moved the account's balance."""
        named = [each.symbol for each in (event.order, event.position) if each is not None]
        moved = event.fill is not None and event.fill.close is not None
        return moved or not named or self._config.symbol in named

    # -- inside

    def _require(self, symbol: str) -> None:
        if symbol != self._config.symbol:
            todo = "Ask for the symbol that this client was made for."
            raise RejectedError("SYMBOL_NOT_FOUND", todo, symbol=symbol, known=self._config.symbol)

    def _known(self) -> tuple[Spots, Facts]:
        if self._spots is None or self._facts is None:
            raise RetryError("LINK_DOWN", "Wait until the first login is complete.")
        return self._spots, self._facts

    async def _listen(self, link: Link) -> None:
        """Subscribe to the symbol and to what its money is converted with."""
        if self._is_listening:
            return
        spots, facts = self._known()
        losses = self._losses
        request = pb.SubscribeSpotsReq(
            ctidTraderAccountId=facts.terms.account_id, symbolId=spots.symbol_ids, subscribeToSpotTimestamp=True
        )
        answer = await link.ask(request)
        if isinstance(answer, Declined) and answer.reaction is not Reaction.SUCCESS:
            raise error_of(answer, "SubscribeSpotsReq")
        if losses == self._losses:  # else the subscription went with its session, maybe in the same read
            self._is_listening = True

    def _now_ms(self) -> int:
        """Return the market clock; 0 in paper before the first quote."""
        if not self._is_paper:
            return self._wires.clock.utc_ms()
        newest_ms = None if self._spots is None else self._spots.newest_ms
        return 0 if newest_ms is None else newest_ms

    def _put(self, event: BrokerEvent) -> None:
        """Hand ``event`` on. What the inbox cannot take is lost, so the link counts as lost with it."""
        try:
            self._wires.inbox.put(event)
        except HaltError as full:
            self._keeper.abort(full.code)
