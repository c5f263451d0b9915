"""Frozen configuration types. Reading them is ``palmbot.config``'s work alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from palmbot.calendar import Session
from palmbot.core.types import Params
from palmbot.instruments import InstrumentSpec


class Environment(StrEnum):
    """Where orders go."""

    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class DataSettings:
    """How a data file is read (``--set data.*``)."""

    file: Path | None = None
    sentiment_file: Path | None = None
    period_ms: int | None = None  # None: the most frequent difference of neighbouring stamps
    adjustment: str = "none"  # none, additive or proportional
    rolls_file: Path | None = None
    unknown_rolls: str = "refuse"  # or ignore


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How ``palmbot run`` runs. ``speed`` is market seconds a wall second; None is as fast as it can (lock-step)."""

    environment: Environment = Environment.PAPER
    speed: float | None = 3600.0
    for_ms: int | None = None
    resume_dir: Path | None = None
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 8080
    web: bool = True
    period_ms: int = 3_600_000  # of the generated market


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the program is told, resolved and checked."""

    data_dir: Path
    profile: str
    params: Params
    instrument: InstrumentSpec
    balance_minor: int
    data: DataSettings = field(default_factory=DataSettings)
    run: RunSettings = field(default_factory=RunSettings)


__all__ = ["DataSettings", "Environment", "RunSettings", "Session", "Settings"]
