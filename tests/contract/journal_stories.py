"""Journal events of whole stories, and the trades they must come to, known from how the story was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from palmbot.model import (
    BrokerOrder,
    BrokerPosition,
    Close,
    Execution,
    Fill,
    IntentKind,
    JournalEvent,
    OrderEvent,
    OrderIntent,
    OrderKind,
    Trade,
)
from palmbot.orders.records import event_of_intent, event_of_order_event

SYMBOL = "PALMOIL"


def note(number: int) -> JournalEvent:
    """Return an event without a projection."""
    return JournalEvent("note", number, {"number": number})


def run_started(run_id: str, **changes: Any) -> JournalEvent:
    """Return the start of a run."""
    texts = {"mode": "paper", "symbol": SYMBOL, "profile": "rsi_sentiment", "version": "0", "core_hash": "c"}
    body = {"run_id": run_id, **texts, "data_fingerprint": "f", "start_balance_minor": 10_000_000, "synthetic": True}
    return JournalEvent(
        "run_started", 1, {**body, "params": {"rsi_low": 30.0}, "instrument": {"lot_cu": 2_500}, **changes}
    )


def bar_closed(end_ms: int, **changes: Any) -> JournalEvent:
    """Return the end of a bar that decided nothing."""
    prices = {"open_px": 4, "high_px": 6, "low_px": 3, "close_px": 5, "spread_px": 1}
    money = {"equity_minor": end_ms, "equity_low_minor": end_ms - 1, "balance_minor": end_ms + 1}
    decision = {"action": 0, "reason": 21, "side": 0, "volume_cu": 0, "rsi": 51.25, "sentiment": None}
    state = {"state": {"rsi": 51.25, "bars": 7}, "closes": [4, 5], "position_side": 0}
    body = {"ts_ms": end_ms - 60_000, "end_ms": end_ms, **prices, **money, **decision, **state, **changes}
    return JournalEvent("bar_closed", end_ms, body)


def refusal(bar_end_ms: int, side: int, reason: int) -> JournalEvent:
    """Return a refused signal."""
    return JournalEvent("refusal", bar_end_ms, {"bar_end_ms": bar_end_ms, "side": side, "reason": reason})


def breaker(ts_ms: int, reason: int) -> JournalEvent:
    """Return a breaker's trip."""
    return JournalEvent("breaker", ts_ms, {"reason": reason, "until_ms": ts_ms + 5, "detail": "why"})


@dataclass(frozen=True)
class Slice:
    """One deal of a story; money is of closing deals alone."""

    volume_cu: int
    price_px: int
    gross_minor: int = 0
    swap_minor: int = 0
    commission_minor: int = 0
    fee_minor: int = 0
    reason: int = 60


@dataclass(frozen=True)
class Story:
    """One position from intent to flat. Every event takes a millisecond from ``start_ms`` on."""

    position_id: int
    side: int
    entries: tuple[Slice, ...]
    exits: tuple[Slice, ...]
    start_ms: int = 1_000
    risk_minor: float = 12.5
    sl_px: int = 390_000
    tp_px: int = 410_000

    @property
    def label(self) -> str:
        return f"bot.palm.{self.position_id}"

    @property
    def volume_cu(self) -> int:
        return sum(part.volume_cu for part in self.entries)

    @property
    def intent(self) -> OrderIntent:
        return OrderIntent(
            IntentKind.ENTER, self.label, SYMBOL, self.side, self.volume_cu, 50, self.start_ms,
            sl_px=100, tp_px=200, bar_end_ms=self.start_ms, risk_minor=self.risk_minor,
        )  # fmt: skip

    @property
    def order(self) -> BrokerOrder:
        return BrokerOrder(
            self.position_id * 10, self.label, OrderKind.MARKET, SYMBOL, self.side, self.volume_cu, 0,
            self.position_id, closing=False, sl_px=None, tp_px=None, updated_ms=self.start_ms,
        )  # fmt: skip

    @property
    def shell(self) -> BrokerPosition:
        return BrokerPosition(
            self.position_id, SYMBOL, self.side, 0, 0, None, None, 0, 0, 0, self.label, self.start_ms + 1
        )

    def broker_events(self) -> list[tuple[OrderEvent, int]]:
        """Return what the broker says, in order, each with the exit reason the bot finds for it."""
        moment, position = self.start_ms + 1, self.shell
        said = [(OrderEvent(Execution.ACCEPTED, moment, self.order, position, request_id=self.label), 0)]
        done_cu = 0
        for number, part in enumerate(self.entries):
            moment += 1
            done_cu += part.volume_cu
            position = replace(position, volume_cu=done_cu, entry_px=part.price_px)
            order = replace(self.order, executed_cu=done_cu)
            fill = self._fill(number, part, moment, None)
            said.append((OrderEvent(Execution.FILLED, moment, order, position, fill, request_id=self.label), 0))
        position = replace(position, sl_px=self.sl_px, tp_px=self.tp_px)
        said.append((self._by_server(Execution.ACCEPTED, moment + 1, position, None), 0))
        position = replace(position, sl_px=self.sl_px + 7)  # the stop trails: the first level stays the trade's
        said.append((self._by_server(Execution.REPLACED, moment + 2, position, None), 0))
        moment += 2
        for number, part in enumerate(self.exits):
            moment += 1
            done_cu -= part.volume_cu
            flat = {"entry_px": 0, "sl_px": None, "tp_px": None} if done_cu == 0 else {}
            position = replace(position, volume_cu=done_cu, **flat)  # type: ignore[arg-type]
            fill = self._fill(50 + number, part, moment, self._close(part))
            said.append((self._by_server(Execution.FILLED, moment, position, fill), part.reason))
        said.append((self._by_server(Execution.CANCELLED, moment + 1, position, None), 0))
        return said

    def events(self) -> list[JournalEvent]:
        """Return the story as the bot journals it."""
        return [event_of_intent(self.intent), *(event_of_order_event(*told) for told in self.broker_events())]

    def trade(self) -> Trade:
        """Return the trade this story comes to."""
        closed_ms = self.start_ms + 3 + len(self.entries) + len(self.exits)
        gross, swap = sum(part.gross_minor for part in self.exits), sum(part.swap_minor for part in self.exits)
        commission, fee = sum(part.commission_minor for part in self.exits), sum(part.fee_minor for part in self.exits)
        return Trade(
            entry_ms=self.start_ms + 2,
            exit_ms=closed_ms,
            side=self.side,
            volume_cu=self.volume_cu,
            entry_px=self.entries[-1].price_px,
            exit_px=sum(part.price_px * part.volume_cu for part in self.exits) / self.volume_cu,
            exit_reason=self.exits[-1].reason,
            pnl_minor=gross + swap + commission + fee,
            gross_minor=gross,
            swap_minor=swap,
            commission_minor=commission,
            fee_minor=fee,
            risk_minor=self.risk_minor,
            sl_px=self.sl_px,
            tp_px=self.tp_px,
        )

    def _by_server(self, what: Execution, moment: int, position: BrokerPosition, fill: Fill | None) -> OrderEvent:
        # the server invents a client order id; here the worst one, our own label
        order = replace(self.order, kind=OrderKind.PROTECTION, order_id=self.position_id * 10 + 1, closing=True)
        return OrderEvent(what, moment, order, position, fill, server_made=True)

    def _fill(self, number: int, part: Slice, moment: int, close: Close | None) -> Fill:
        side = self.side if close is None else -self.side
        ids = (self.position_id * 100 + number, self.position_id * 10, self.position_id)
        return Fill(*ids, side, part.volume_cu, part.price_px, moment, 0, close)

    def _close(self, part: Slice) -> Close:
        money = (part.gross_minor, part.swap_minor, part.commission_minor, part.fee_minor)
        return Close(self.entries[-1].price_px, *money, part.volume_cu, 10_000_000, 100_000_000)


def simple(position_id: int, pnl_minor: int = 100, start_ms: int = 1_000) -> Story:
    """Return a story with one entry and one exit."""
    entry, leave = Slice(100, 400_000), Slice(100, 400_500, gross_minor=pnl_minor)
    return Story(position_id, 1, (entry,), (leave,), start_ms)


def _parts(draw: st.DrawFn, volume_cu: int, *, closing: bool) -> tuple[Slice, ...]:
    cuts = sorted(draw(st.sets(st.integers(1, volume_cu - 1), max_size=3)))
    volumes = [end - start for start, end in zip([0, *cuts], [*cuts, volume_cu], strict=True)]
    prices, money = st.integers(1, 10**9), st.integers(-(10**12), 10**12)
    if not closing:
        return tuple(Slice(volume, draw(prices)) for volume in volumes)
    charges = st.integers(-(10**6), 0)
    return tuple(
        Slice(volume, draw(prices), draw(money), draw(money), draw(charges), draw(charges), draw(st.integers(60, 69)))
        for volume in volumes
    )


@st.composite
def stories(draw: st.DrawFn, position_id: int = 1) -> Story:
    """Draw a story with up to four slices in and out."""
    volume_cu = draw(st.integers(2, 10_000))
    side = draw(st.sampled_from((-1, 1)))
    entries, exits = _parts(draw, volume_cu, closing=False), _parts(draw, volume_cu, closing=True)
    risk = draw(st.floats(0, 1e9, allow_nan=False))
    return Story(position_id, side, entries, exits, draw(st.integers(0, 10**12)), risk, draw(st.integers(1, 10**9)))


def interleaved(tracks: Sequence[Sequence[JournalEvent]], choices: Sequence[int]) -> list[JournalEvent]:
    """Return the events of all ``tracks``, each in its own order, mixed by ``choices``."""
    left = [list(track) for track in tracks]
    mixed = []
    for choice in [*choices, *[0] * sum(len(track) for track in tracks)]:
        waiting = [track for track in left if track]
        if not waiting:
            break
        mixed.append(waiting[choice % len(waiting)].pop(0))
    return mixed
