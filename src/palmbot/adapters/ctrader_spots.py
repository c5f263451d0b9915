"""The last price of each symbol that is listened to, and what its quote currency is worth. Pure, and the hot path."""

from __future__ import annotations

from palmbot.model import Quote
from palmbot.protocol.chain import Leg
from palmbot.protocol.codec import LATEST_MS
from palmbot.protocol.messages import pb
from palmbot.units import RATE_ONE_E8, rate_of_chain

_PRICE_MAX_PX = 10**15  # no price: the wire has 64 bits without a sign, arithmetic has fewer


class Spots:
    """Remembers what a spot leaves out, for an absent side is unchanged.

    Args:
        symbol: the traded one.
        symbol_id: its id.
        chain: from its quote currency to the account's; None: no rate is known.
    """

    def __init__(self, symbol: str, symbol_id: int, chain: tuple[Leg, ...] | None) -> None:
        self.newest_ms: int | None = None  # the market clock in paper; goes on over links
        self.rate_e8 = 0 if chain is None else RATE_ONE_E8
        self._symbol = symbol
        self._symbol_id = symbol_id
        self._chain = () if chain is None else chain
        self._bids_px = dict.fromkeys((leg.symbol_id for leg in self._chain), 0)  # of the chain; 0: not known
        self._bid_px = 0
        self._ask_px = 0
        self._revalue()

    @property
    def symbol_ids(self) -> tuple[int, ...]:
        """All symbols to listen to, the traded one last, so that its first price finds the rate."""
        return (*(each for each in self._bids_px if each != self._symbol_id), self._symbol_id)

    @property
    def bid_px(self) -> int | None:
        """The traded symbol's last bid."""
        return self._bid_px or None

    def forget(self) -> None:
        """Forget all prices: the next link begins with both sides of each symbol."""
        self._bid_px = self._ask_px = 0
        self._bids_px = dict.fromkeys(self._bids_px, 0)
        self._revalue()

    def take(self, spot: pb.SpotEvent, now_ms: int) -> Quote | None:
        """Take in ``spot``; return the traded symbol's quote, both sides known, where it is about that.

        Args:
            spot: of any symbol; a side that is 0 is no price, and unchanged.
            now_ms: the time of a spot that does not tell its own, or one that cannot be.
        """
        symbol_id, bid_px, ask_px = spot.symbolId, spot.bid, spot.ask
        has_bid = 0 < bid_px < _PRICE_MAX_PX
        if has_bid and symbol_id in self._bids_px:
            self._bids_px[symbol_id] = bid_px
            self._revalue()
        if symbol_id != self._symbol_id:
            return None
        if has_bid:
            self._bid_px = bid_px
        if 0 < ask_px < _PRICE_MAX_PX:
            self._ask_px = ask_px
        told_ms = spot.timestamp
        ts_ms = told_ms if 0 < told_ms <= LATEST_MS else now_ms
        if self.newest_ms is None or ts_ms > self.newest_ms:
            self.newest_ms = ts_ms
        return self._quote(ts_ms)

    def last(self) -> Quote | None:
        """Return the newest quote; None before both sides are known."""
        return None if self.newest_ms is None else self._quote(self.newest_ms)

    def _quote(self, ts_ms: int) -> Quote | None:
        if not self._bid_px or not self._ask_px:
            return None
        return Quote(self._symbol, ts_ms, self._bid_px, self._ask_px, self.rate_e8)

    def _revalue(self) -> None:
        """Compute the rate as the broker's own booking does: bids throughout, exact, rounded once."""
        if self._bids_px:
            self.rate_e8 = rate_of_chain((self._bids_px[leg.symbol_id], leg.is_inverse) for leg in self._chain)
