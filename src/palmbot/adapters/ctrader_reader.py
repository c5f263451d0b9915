"""The broker as it is read: quotes, history and the facts of a cTrader account, over the Open API.

What happens comes as events into the inbox, in the order in which the broker told it: quotes with both sides, and that
the link was lost or is there again. Between ``LOST`` and ``READY`` nothing comes, and what happened meanwhile is never
told: whoever hears ``READY`` reads what it needs.

Nothing here can trade. A session of this client says what ``READING`` holds and no more, which is looked at where a
message becomes bytes; ``ctrader.Ctrader`` is the one that may say more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

from palmbot.adapters.ctrader_history import Grid, Wanted, marked, read_bars
from palmbot.adapters.ctrader_keeper import Keeper, KeeperWires, Patience
from palmbot.adapters.ctrader_lag import Lag
from palmbot.adapters.ctrader_link import Dial, Link
from palmbot.adapters.ctrader_login import Facts, TokenSource
from palmbot.adapters.ctrader_spots import Spots
from palmbot.errors import HaltError, RejectedError, RetryError
from palmbot.model import AccountSnapshot, BrokerEvent, HistoryBar, LinkEvent, LinkState
from palmbot.ports import Clock, Inbox
from palmbot.protocol.codec import LATEST_MS, snapshot_of
from palmbot.protocol.codec_errors import Declined, error_of
from palmbot.protocol.codes import Reaction
from palmbot.protocol.events import Received
from palmbot.protocol.messages import Message, pb
from palmbot.settings import CtraderCredentials

READING = frozenset(
    {
        *(pb.HEARTBEAT_EVENT, pb.VERSION_REQ),
        *(pb.APPLICATION_AUTH_REQ, pb.GET_ACCOUNT_LIST_BY_ACCESS_TOKEN_REQ, pb.ACCOUNT_AUTH_REQ),
        *(pb.TRADER_REQ, pb.ASSET_LIST_REQ, pb.SYMBOLS_LIST_REQ, pb.SYMBOL_BY_ID_REQ, pb.SYMBOLS_FOR_CONVERSION_REQ),
        *(pb.ASSET_CLASS_LIST_REQ, pb.SYMBOL_CATEGORY_LIST_REQ, pb.GET_DYNAMIC_LEVERAGE_BY_ID_REQ),
        *(pb.SUBSCRIBE_SPOTS_REQ, pb.GET_TRENDBARS_REQ),
    }
)


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


AHEAD_MAX_MS = 60_000  # of this machine's clock: a quote from further ahead would end bars that have not begun


class CtraderReader:
    """One account, one symbol, one inbox. ``run`` must run beside whoever asks."""

    may_send: ClassVar[frozenset[int] | None] = READING  # payload types; None: all

    def __init__(self, config: CtraderConfig, wires: CtraderWires) -> None:
        self._config = config
        self._wires = wires
        keeper_wires = KeeperWires(wires.dial, wires.clock, wires.rng, wires.tokens)
        self._keeper = Keeper(self, keeper_wires, config.credentials, config.symbol, config.patience)
        self._is_simulated = config.credentials.is_simulated  # then its market has a clock of its own
        self._facts: Facts | None = None
        self._spots: Spots | None = None
        self._is_wanted = False  # quotes were subscribed to
        self._is_listening = False  # this session subscribed to them
        self._is_lost = False
        self._losses = 0  # sessions that ended
        self._lag = Lag()
        self.on_terms: Callable[[], None] = lambda: None  # called when the broker's terms may be others than before
        self.on_lag: Callable[[int], None] = lambda _ms: None  # told how far this machine's clock is ahead of quotes

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
        if self._is_simulated:  # the market's clock is the newest quote; one comes before the bars that are asked for
            await self._listen(link)
        spots, facts = self._known()
        grid = Grid(period_ms, self._config.day_start_ms)
        now_ms = spots.newest_ms if self._is_simulated else self._wires.clock.utc_ms()
        wanted = Wanted(grid, count, LATEST_MS if now_ms is None else now_ms, spots.bid_px)
        bars = await read_bars(link, self._wires.clock, facts.terms, wanted)
        if self._is_simulated:  # the newest bar holds the newest quote, so it has not ended; without any, all have
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

    # -- the account

    async def need(self, request: Message) -> Message:
        """Return the broker's answer to ``request``, which is no error.

        Raises:
            ConfigError: a person must change something.
            RejectedError: the broker said no.
            RetryError: the link is down, or there is no answer.
            InvariantError: this client may not say it.
        """
        return await (await self._keeper.ready()).need(request)

    async def standing(self) -> AccountSnapshot:
        """Return balance, leverage and kind of the account; what it holds is not looked at.

        Raises:
            RetryError: the link is down, or there is no answer.
        """
        link = await self._keeper.ready()
        terms = self._known()[1].terms
        answer = cast("pb.TraderRes", await link.need(pb.TraderReq(ctidTraderAccountId=terms.account_id)))
        return snapshot_of(answer.trader, pb.ReconcileRes(ctidTraderAccountId=terms.account_id), terms)

    # -- what the session tells

    def on_facts(self, facts: Facts) -> None:
        """Take in what the first login learned."""
        self._facts = facts
        self._spots = Spots(facts.terms.symbol, facts.terms.symbol_id, facts.chain)

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
            self._forget()
            self._lag.forget()
            if self._spots is not None:
                self._spots.forget()
        if is_news:
            self._wires.inbox.put(LinkEvent(self._now_ms(), state, reason))
            self.on_terms()  # nobody tells what changed meanwhile

    def on_spot(self, spot: pb.SpotEvent) -> None:
        """Take in a quote."""
        spots = self._spots
        if spots is None or spot.ctidTraderAccountId != self._keeper.account_id:
            return
        now_ms = self._now_ms()
        if not self._is_simulated:
            self._compare_clocks(spot, now_ms)
        quote = spots.take(spot, now_ms)
        if quote is not None and self._is_wanted:
            self._put(quote)

    def _compare_clocks(self, spot: pb.SpotEvent, now_ms: int) -> None:
        """Measure how far apart the two clocks are; a time from far ahead is not believed."""
        lag_ms = self._lag.take(spot.timestamp, now_ms)
        if lag_ms is not None:
            self.on_lag(lag_ms)
        if spot.timestamp > now_ms + AHEAD_MAX_MS:
            spot.ClearField("timestamp")  # the market clock never goes back, so it would stand still for as long

    def on_batch(self) -> None:
        """Wake whoever waits for what arrived."""
        self._wires.on_received()

    def on_message(self, event: Received, declined: Declined | None) -> None:
        """Take in that terms changed; pass over what is about orders, for whoever only reads has none."""
        del declined
        message, facts = event.message, self._facts
        if facts is None or not isinstance(message, pb.SymbolChangedEvent | pb.TraderUpdatedEvent):
            return
        is_ours = isinstance(message, pb.TraderUpdatedEvent) or facts.terms.symbol_id in message.symbolId
        if is_ours and message.ctidTraderAccountId == facts.terms.account_id:
            self.on_terms()

    # -- inside

    def _forget(self) -> None:
        """Forget what belonged to the session that was lost."""

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
        """Return the market clock; 0 before the first quote of a simulated market."""
        if not self._is_simulated:
            return self._wires.clock.utc_ms()
        newest_ms = None if self._spots is None else self._spots.newest_ms
        return 0 if newest_ms is None else newest_ms

    def _put(self, event: BrokerEvent) -> None:
        """Hand ``event`` on. What the inbox cannot take is lost, so the link counts as lost with it."""
        try:
            self._wires.inbox.put(event)
        except HaltError as full:
            self._keeper.abort(full.code)
