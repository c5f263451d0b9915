"""What a journal tells of one bot: the bars that it saw, what it did about them, and what others did to it.

Pure. ``bootstrap.parity`` reads the records; here they become what ``parity`` compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from palmbot.core.types import Instrument, Int64Array, Params, Reason
from palmbot.model import BrokerPosition, IntentKind, OrderEvent, OrderIntent, OrderKind, Refusal, Trade

OPEN_MS = 1 << 52  # "exit" of a trade that is still held


@dataclass(frozen=True, slots=True)
class Change:
    """From ``ts_ms`` on it went on by these rules, and with so much more in the account."""

    ts_ms: int
    cash_minor: int
    profile: str
    params: Params
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class Lived:
    """One bot. ``bars`` are the bodies of its ``bar_closed`` records, in order.

    Attributes:
        changes: the first is how it began (its ``cash_minor`` is the first balance), the others came later, in order.
        held: the position that it still holds, as a trade without an end; None where it holds none.
        decided: end of the bar that decided a trade, by the time of its entry, where the order tells it.
        touched: what a person did to a position in the platform, by the time of its entry.
    """

    bars: Sequence[Mapping[str, Any]]
    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    changes: tuple[Change, ...]
    period_ms: int
    is_synthetic: bool
    held: Trade | None = None
    decided: Mapping[int, int] = field(default_factory=dict)
    touched: Mapping[int, str] = field(default_factory=dict)

    @property
    def ends_ms(self) -> Int64Array:
        """End of each bar, in order."""
        return np.array([body["end_ms"] for body in self.bars], np.int64)


def held_trade(position: BrokerPosition) -> Trade:
    """Return a position that is still open as a trade that has not ended."""
    return Trade(
        entry_ms=position.open_ms,
        exit_ms=OPEN_MS,
        side=position.side,
        volume_cu=position.volume_cu,
        entry_px=position.entry_px,
        exit_px=0.0,
        exit_reason=int(Reason.NONE),
        pnl_minor=0,
        gross_minor=0,
        swap_minor=position.swap_minor,
        commission_minor=position.commission_minor,
        fee_minor=0,
        risk_minor=0.0,
    )


def decided_by(events: Sequence[OrderEvent], intents: Sequence[OrderIntent]) -> dict[int, int]:
    """Return the end of the bar that decided each position, by the time of its entry."""
    asked = {each.client_order_id: each.bar_end_ms for each in intents if each.kind is IntentKind.ENTER}
    positions = [each.position for each in events if each.position is not None]
    return {each.open_ms: asked[each.label] for each in positions if each.label in asked}


def touched_by_hand(events: Sequence[OrderEvent], intents: Sequence[OrderIntent]) -> dict[int, str]:
    """Return what a person did to this bot's positions in the platform, by the time of their entry.

    Levels that neither the entry nor an amend asked for were moved by hand; a deal that reduces a position, and is
    neither its protective order's nor the answer to a request, was closed by hand.
    """
    asked = {(each.position_id, each.sl_px, each.tp_px) for each in intents if each.kind is IntentKind.AMEND}
    own = {each.client_order_id for each in intents if each.kind is IntentKind.ENTER}
    opened: dict[int, int] = {}  # time of entry, by position
    levels: dict[int, tuple[int, int]] = {}  # stop and target as last seen
    found: dict[int, str] = {}
    for event in events:
        fill, position = event.fill, event.position
        if position is not None and position.label in own and position.volume_cu > 0:
            number = position.position_id
            opened.setdefault(number, position.open_ms)
            now = (position.sl_px or 0, position.tp_px or 0)
            before = levels.get(number, (0, 0))
            is_first = before == (0, 0)
            is_news = not is_first and now != before and fill is None and not event.server_made
            if is_news and (number, *now) not in asked:
                found[opened[number]] = f"{' and '.join(_moved(before, now))} moved by hand"
            levels[number] = before if is_first and now == (0, 0) else now
        if fill is not None and fill.close is not None and fill.position_id in opened:
            by_guard = event.server_made or (event.order is not None and event.order.kind is OrderKind.PROTECTION)
            if not by_guard and not event.request_id:
                found[opened[fill.position_id]] = "closed by hand"
    return found


def _moved(before: tuple[int, int], now: tuple[int, int]) -> list[str]:
    names = ("stop", "target")
    return [name for name, then, level in zip(names, before, now, strict=True) if then != level]
