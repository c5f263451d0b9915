"""Which deals closed which: a position's deals paired first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from palmbot.exchange.values import DealView


@dataclass(frozen=True, slots=True)
class Offset:
    """A part of a deal that another deal closed, or was closed by."""

    deal_id: int
    volume_cu: int
    ts_ms: int
    price_px: int


def paired(deal: DealView, deals: Iterable[DealView]) -> tuple[list[Offset], list[Offset]]:
    """Return what closed ``deal`` and what it closed, oldest first.

    Args:
        deal: one of ``deals``.
        deals: all of its position, oldest first.
    """
    opened: deque[tuple[DealView, int]] = deque()  # and how much of it is still open
    offset_by, offsetting = [], []
    for each in deals:
        if each.close is None:
            opened.append((each, each.filled_cu))
            continue
        left_cu = each.close.closed_cu
        while left_cu > 0 and opened:
            first, open_cu = opened.popleft()
            part_cu = min(left_cu, open_cu)
            left_cu -= part_cu
            if open_cu > part_cu:
                opened.appendleft((first, open_cu - part_cu))
            if first.deal_id == deal.deal_id:
                offset_by.append(Offset(each.deal_id, part_cu, each.ts_ms, each.price_px))
            if each.deal_id == deal.deal_id:
                offsetting.append(Offset(first.deal_id, part_cu, first.ts_ms, first.price_px))
    return offset_by, offsetting
