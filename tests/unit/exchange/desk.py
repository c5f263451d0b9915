"""What tests of the exchange trade with: an instrument, ticks, requests, bars, and an inbox to look into."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from palmbot.calendar import Session
from palmbot.core.types import BarArrays, Instrument, RollArrays
from palmbot.exchange.feed import FeedTick
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.model import BrokerEvent, IntentKind, OrderEvent, OrderIntent, Quote
from palmbot.units import HOUR_MS, PX, RATE_ONE_E8

MONDAY = int(datetime(2024, 1, 8, tzinfo=UTC).timestamp()) * 1000
OPEN = MONDAY + 2 * HOUR_MS + HOUR_MS // 2  # 10:30 in Kuala Lumpur: the session opens
BALANCE = 10_000_000
SPREAD = 2 * PX
SLIPPAGE = PX // 2
SYMBOL = PALM_OIL.symbol
NO_ROLLS = RollArrays(np.zeros(0, np.int64), np.zeros(0, np.int64))


def spec(*, always_open: bool = False, **core: int) -> InstrumentSpec:
    """The built-in palm oil with other terms: spread 2, slippage 0.5, one lot of 2,500 cu, 25 MYR a lot and side."""
    changed = replace(PALM_OIL, core=Instrument(**core))
    return replace(changed, session=Session()) if always_open else changed


def tick(ts_ms: int, bid: float, *, jump: bool = False, spread: int = SPREAD, rate_e8: int = RATE_ONE_E8) -> FeedTick:
    bid_px = round(bid * PX)
    return FeedTick(ts_ms, bid_px, bid_px + spread, jump, bid_px, rate_e8)


def enter(side: int = 1, volume_cu: int = 2_500, sl: float = 50, tp: float = 80, name: str = "in") -> OrderIntent:
    return OrderIntent(
        IntentKind.ENTER, name, SYMBOL, side, volume_cu, 50, 7, sl_px=round(sl * PX), tp_px=round(tp * PX)
    )


def amend(position_id: int, sl: float, tp: float, name: str = "move") -> OrderIntent:
    levels = {"sl_px": round(sl * PX), "tp_px": round(tp * PX)}
    return OrderIntent(IntentKind.AMEND, name, SYMBOL, 1, 0, 62, 7, position_id=position_id, **levels)


def leave(position_id: int, volume_cu: int = 2_500, name: str = "out") -> OrderIntent:
    return OrderIntent(IntentKind.CLOSE, name, SYMBOL, -1, volume_cu, 63, 7, position_id=position_id)


def bars(*rows: tuple[int, float, float, float, float], rate_e8: tuple[int, ...] = ()) -> BarArrays:
    """Bars of an hour from ``(ts_ms, open, high, low, close)``."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    prices = np.rint(table[:, 1:] * PX).astype(np.int64)
    ts_ms = np.array([row[0] for row in rows], dtype=np.int64)
    return BarArrays(ts_ms, ts_ms + HOUR_MS, *prices.T.copy(), np.array(rate_e8, dtype=np.int64))


def rolls(*rows: tuple[int, float]) -> RollArrays:
    return RollArrays(
        np.array([ts_ms for ts_ms, _ in rows], np.int64), np.array([round(gap * PX) for _, gap in rows], np.int64)
    )


class QueueInbox:
    """An inbox over an ``asyncio.Queue``; ``told`` keeps everything that was ever put."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[BrokerEvent] = asyncio.Queue()
        self.told: list[BrokerEvent] = []

    def put(self, event: BrokerEvent) -> None:
        self.told.append(event)
        self.queue.put_nowait(event)

    @property
    def quotes(self) -> list[Quote]:
        return [event for event in self.told if isinstance(event, Quote)]

    @property
    def orders(self) -> list[OrderEvent]:
        return [event for event in self.told if isinstance(event, OrderEvent)]


def facts(value: object, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in names)
