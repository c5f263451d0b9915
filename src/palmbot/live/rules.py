"""What the bot trades by."""

from __future__ import annotations

from dataclasses import dataclass, field

from palmbot.calendar import Session
from palmbot.core.live_breakers import Limits
from palmbot.core.types import Instrument, Params


@dataclass(frozen=True, slots=True)
class Rules:
    """What the bot trades by."""

    params: Params
    instrument: Instrument
    period_ms: int
    session: Session = field(default_factory=Session)
    limits: Limits = field(default_factory=Limits)
