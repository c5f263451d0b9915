"""Tells every tick to everybody who wants it, each content encoded once, however many they are.

What differs from client to client (the account, whether it wants times, which bars, which sides changed since it heard
last) is the key of a small cache that lives for one tick. A client that does not read fast enough hears the newest
quote of each symbol once it reads again: what was in between is gone, as it would be at a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from palmbot.exchange.client import Audience, Client, Subscription
from palmbot.exchange.depth import Book, book_of, changes
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.listing import Listing
from palmbot.exchange.periods import Period
from palmbot.exchange.prices import Candle, SymbolPrices
from palmbot.exchange.venue import Unrealized
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import pb
from palmbot.units import MINUTE_MS

NO_BOOK: Book = {}


class Market(NamedTuple):
    """Where the fan reads what it tells."""

    prices: Mapping[int, SymbolPrices]
    listing: Callable[[int], Listing | None]
    last: Callable[[int], FeedTick | None]
    unrealized: Callable[[int], list[Unrealized]]  # of an account
    money_digits: Callable[[int], int]


def bar_message(bar: Candle, period: Period | None = None) -> pb.Trendbar:
    """Return a bar; one of the history does not say its period."""
    return pb.Trendbar(
        volume=bar.ticks,
        period=None if period is None else cast("pb.TrendbarPeriod", period),
        low=bar.low_px,
        deltaOpen=bar.open_px - bar.low_px,
        deltaClose=bar.close_px - bar.low_px,
        deltaHigh=bar.high_px - bar.low_px,
        utcTimestampInMinutes=bar.ts_ms // MINUTE_MS,
    )


class _Round:
    """One tick of one symbol, told to everybody."""

    def __init__(self, market: Market, knobs: Knobs, symbol_id: int, tick: FeedTick) -> None:
        self.tick = tick
        self._market = market
        self._knobs = knobs
        self._symbol_id = symbol_id
        self._spots: dict[tuple[object, ...], bytes] = {}
        self._depths: dict[tuple[int, tuple[int, int] | None], bytes] = {}

    def tell(self, client: Client, subscription: Subscription) -> None:
        """Send the tick, and the book where it is asked for."""
        client.outlet.send_frame(self._spot(subscription))
        if subscription.has_depth:
            self.tell_depth(client, subscription)

    def tell_depth(self, client: Client, subscription: Subscription) -> None:
        """Send what changed in the book since the client saw it, if anything."""
        frame = self._depth(subscription)
        if frame:
            client.outlet.send_frame(frame)

    def _spot(self, to: Subscription) -> bytes:
        bid_px, ask_px = self.tick.bid_px, self.tick.ask_px
        is_first = to.bid_px is None
        # a tick that changes nothing is told with both sides: an event must say something
        is_same = (to.bid_px, to.ask_px) == (bid_px, ask_px)
        has_both = is_first or is_same or not self._knobs.drops_unchanged_sides
        has_bid, has_ask = has_both or to.bid_px != bid_px, has_both or to.ask_px != ask_px
        to.bid_px, to.ask_px, to.is_behind = bid_px, ask_px, False
        key = (to.account_id, has_bid, has_ask, is_first, to.wants_time, *to.periods)
        frame = self._spots.get(key)
        if frame is None:
            prices = self._market.prices[self._symbol_id]
            bars = [(prices.live(period), period) for period in to.periods]
            has_close = is_first and self._knobs.closes_on_first_spot
            message = pb.SpotEvent(
                ctidTraderAccountId=to.account_id,
                symbolId=self._symbol_id,
                bid=bid_px if has_bid else None,
                ask=ask_px if has_ask else None,
                trendbar=[bar_message(bar, period) for bar, period in bars if bar is not None],
                sessionClose=prices.session_close_px if has_close else None,
                timestamp=self.tick.ts_ms if to.wants_time else None,
            )
            frame = self._spots[key] = encode(message)
        return frame

    def _depth(self, to: Subscription) -> bytes:
        key = (to.account_id, to.book)
        frame = self._depths.get(key)
        if frame is None:
            frame = self._depths[key] = self._depth_frame(to)
        to.book = (self.tick.bid_px, self.tick.ask_px)
        return frame

    def _depth_frame(self, to: Subscription) -> bytes:
        listing = self._market.listing(self._symbol_id)
        if listing is None:
            return b""
        levels = self._knobs.depth_levels
        before = NO_BOOK if to.book is None else book_of(listing, *to.book, levels)
        fresh, gone = changes(before, book_of(listing, self.tick.bid_px, self.tick.ask_px, levels))
        if not fresh and not gone:
            return b""
        message = pb.DepthEvent(
            ctidTraderAccountId=to.account_id,
            symbolId=self._symbol_id,
            newQuotes=[
                pb.DepthQuote(id=level_id, size=level.size_cu, bid=level.bid_px, ask=level.ask_px)
                for level_id, level in fresh.items()
            ],
            deletedQuotes=gone,
        )
        return encode(message)


class Fan:
    """What is told about the market.

    Args:
        audience: who hears of what.
        market: what there is to tell.
        knobs: how it is told.
    """

    def __init__(self, audience: Audience, market: Market, knobs: Knobs) -> None:
        self._audience = audience
        self._market = market
        self._knobs = knobs

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Tell a tick to everybody who wants it; then unrealized results, where they changed."""
        told = _Round(self._market, self._knobs, symbol_id, tick)
        results: dict[int, tuple[int, int]] = {}
        hearers = {**self._audience.symbols.of(symbol_id), **self._audience.results}
        for client in hearers.values():
            subscriptions = client.subscriptions.get(symbol_id)
            if subscriptions is not None:
                for each in subscriptions.values():
                    if client.outlet.is_slow:
                        each.is_behind = True
                    else:
                        told.tell(client, each)
            if client.results and not client.outlet.is_slow:
                self._tell_results(client, results)
            client.outlet.flush()

    def first(self, client: Client, subscription: Subscription) -> None:
        """Tell a new subscriber the last quote, if there is one, whether the market is open or not."""
        tick = self._market.last(subscription.symbol_id)
        if tick is not None:
            self._round(subscription.symbol_id, tick).tell(client, subscription)

    def first_depth(self, client: Client, subscription: Subscription) -> None:
        """Show a new subscriber the whole book."""
        tick = self._market.last(subscription.symbol_id)
        if tick is not None:
            self._round(subscription.symbol_id, tick).tell_depth(client, subscription)

    def result(self, client: Client) -> None:
        """Tell a new subscriber the unrealized results."""
        self._tell_results(client, {})

    def catch_up(self, client: Client) -> None:
        """Tell a client that reads again the newest quote of each symbol that it missed."""
        for symbol_id, subscriptions in client.subscriptions.items():
            tick = self._market.last(symbol_id)
            if tick is not None:
                told = self._round(symbol_id, tick)
                for each in subscriptions.values():
                    if each.is_behind:
                        told.tell(client, each)
        if client.results:
            self._tell_results(client, {})
        client.outlet.flush()

    def _round(self, symbol_id: int, tick: FeedTick) -> _Round:
        return _Round(self._market, self._knobs, symbol_id, tick)

    def _tell_results(self, client: Client, known: dict[int, tuple[int, int]]) -> None:
        for account_id, before in client.results.items():
            now = known.get(account_id)
            if now is None:
                each = self._market.unrealized(account_id)
                now = known[account_id] = (sum(one.gross_minor for one in each), sum(one.net_minor for one in each))
            if now != before:
                client.results[account_id] = now
                client.outlet.send(
                    pb.v1PnLChangeEvent(
                        ctidTraderAccountId=account_id,
                        grossUnrealizedPnL=now[0],
                        netUnrealizedPnL=now[1],
                        moneyDigits=self._market.money_digits(account_id),
                    )
                )
