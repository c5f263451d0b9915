"""What the handlers of requests work with, what they may answer, and what a request needs before it is handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from palmbot.exchange.client import Audience, Client
from palmbot.exchange.faults import Faults
from palmbot.exchange.grants import Grants
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.trade_limits import TradeMeter
from palmbot.exchange.values import Refused, Via
from palmbot.ports import Clock
from palmbot.protocol.messages import Message

if TYPE_CHECKING:
    from palmbot.exchange.engine import Engine
    from palmbot.exchange.fan import Fan
    from palmbot.exchange.prices import SymbolPrices


class Needs(IntEnum):
    """What a connection must have been granted before a request is handled; each includes those before it."""

    NOTHING = 0
    APPLICATION = 1
    ACCOUNT = 2  # the session of the account that the request names
    TRADING = 3  # and a token that permits to trade


@dataclass(frozen=True, slots=True)
class Desk:
    """The exchange as the handlers know it.

    Grants live in UTC, connections on the monotonic clock, everything else in market time.
    """

    engine: Engine
    prices: Mapping[int, SymbolPrices]
    fan: Fan
    audience: Audience
    meter: TradeMeter
    grants: Grants
    knobs: Knobs
    faults: Faults
    clock: Clock
    connections_of: Callable[[str], int]  # how many an application has


@dataclass(frozen=True, slots=True)
class Then:
    """An answer, and what is told right after it."""

    answer: Message | Refused
    after: Callable[[], None]


Reply: TypeAlias = Message | Refused | Then | None  # None: events have answered it already
Handler: TypeAlias = Callable[[Desk, Client, Any], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """How one kind of request is answered. A list may come back empty by a fault."""

    answer: Handler
    needs: Needs = Needs.ACCOUNT
    is_list: bool = False


Routes: TypeAlias = Mapping[int, Route]


def no_entity(text: str) -> Refused:
    """Return the refusal of a request about something that does not exist."""
    return Refused("ENTITY_NOT_FOUND", text, Via.ERROR_RES)
