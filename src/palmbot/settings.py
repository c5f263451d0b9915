"""Frozen configuration types and the built-in profiles. Reading them is ``palmbot.config``'s work alone."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from palmbot.calendar import Session
from palmbot.core.types import Params, Profile, StopKind
from palmbot.errors import ConfigError
from palmbot.instruments import InstrumentSpec
from palmbot.units import DAY_MS, HOUR_MS

BUILT_IN_PROFILES = MappingProxyType(
    {
        "rsi_sentiment": Params(),
        # buys strength on daily bars: for people whose hypothesis is a trend, not a reversal
        "rsi_trend": Params(
            profile=int(Profile.RSI_TREND),
            rsi_low=0.0,
            rsi_high=60.0,
            allow_short=0,
            stop_kind=int(StopKind.ATR),
            sl_atr=4.0,
            tp_atr=8.0,
            trail_atr=4.0,
            max_bars=40,
        ),
    },
)


class Environment(StrEnum):
    """Where orders go."""

    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class CtraderCredentials:
    """An application registered at cTrader, and the account to trade, for one environment.

    ``account`` is the account's number on the wire or its login, None until a person chose one. ``exchange_file`` is
    the ready line of an exchange on this machine that stands in for cTrader's servers.
    """

    environment: Environment
    client_id: str
    client_secret: str = field(repr=False)
    account: int | None = None
    exchange_file: Path | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether an exchange on this machine is meant: its market has a clock of its own."""
        return self.environment is Environment.PAPER or self.exchange_file is not None


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Where tokens are kept, and the key that encrypts them. No key: that of the system's keyring."""

    folder: Path
    key: str | None = field(default=None, repr=False)
    is_key_beside: bool = False  # the key lies in the same .env as everything else: it protects nothing there
    database_url: str | None = field(default=None, repr=False)  # PostgreSQL instead of the folder


@dataclass(frozen=True, slots=True)
class RelatedSettings:
    """A series of another market that research joins to the bars (``[data.related.NAME]``).

    ``known_after_ms`` is the time from the stamp of a bar until its close is known; None where the file says
    ``known_at`` itself. A value known for longer than ``stale_after_ms`` counts as unknown. Its change is taken over
    ``rows`` rows.
    """

    name: str
    file: Path
    known_after_ms: int | None = None
    stale_after_ms: int = 7 * DAY_MS
    rows: int = 1


@dataclass(frozen=True, slots=True)
class DataSettings:
    """How a data file is read (``--set data.*``)."""

    file: Path | None = None
    sentiment_file: Path | None = None
    period_ms: int | None = None  # None: the most frequent difference of neighbouring stamps
    adjustment: str = "none"  # none, additive or proportional
    rolls_file: Path | None = None
    rates_file: Path | None = None  # quote-to-deposit rates; None: 1 where both are one currency
    unknown_rolls: str = "refuse"  # or ignore
    adjust: str = "none"  # or proportional: prices before each roll are scaled by its gap
    time_zone: str = "UTC"  # of stamps that carry no offset
    related: tuple[RelatedSettings, ...] = ()  # research alone reads them


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How ``palmbot run`` runs. ``speed`` is market seconds a wall second; None is as fast as it can (lock-step)."""

    environment: Environment = Environment.PAPER
    speed: float | None = 3600.0
    for_ms: int | None = None
    resume_dir: Path | None = None
    exchange_file: Path | None = None  # ready line of an exchange in another process; None: one is built in
    seed: int = 1
    dry_run: bool = False  # live quotes, and no order leaves this machine: said by the command alone
    accepts_noise: bool = False  # parameters that nothing speaks for are traded live: said by the command alone
    host: str = "127.0.0.1"
    port: int = 8080
    web: bool = True
    period_ms: int = 3_600_000  # of the generated market


@dataclass(frozen=True, slots=True)
class OptimizeSettings:
    """How ``palmbot optimize`` searches.

    Attributes:
        trials: most combinations tried.
        workers: threads; None: one a processor.
        dask: address of a Dask scheduler; None: this process alone.
        trades_min: a combination with fewer trades is never picked; None: it follows the usual number of trades.
        axes: fields of `Params` to the values that are tried; empty: those of the profile's rule.
        fixed: fields that the command or the environment said: they stay as they are.
    """

    method: str = "grid"
    trials: int = 2_500
    seed: int = 1
    workers: int | None = None
    dask: str | None = None
    trades_min: int | None = None
    axes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()


# The settings of an instrument that say what trading costs.
COST_SETTINGS = (
    *("spread", "slippage", "commission", "commission_min", "conversion_fee"),
    *("swap_long", "swap_short", "swap_period"),
)


@dataclass(frozen=True, slots=True)
class Charged:
    """What trading costs, in the price's currency a unit of a position of one lot; see `research.charges`.

    Attributes:
        written: the instrument's `COST_SETTINGS` as they are written.
        price_px: at which the rest is worked out, and ``rate_e8`` the quote-to-deposit rate.
        round_trip_px: opening and closing.
        night_long_px: a day's swap of a long position, and ``night_short_px`` of a short one; < 0 where it pays.
        conversion_fee_bp: of the profit.
    """

    written: Mapping[str, str]
    price_px: int
    rate_e8: int
    round_trip_px: int
    night_long_px: int
    night_short_px: int
    conversion_fee_bp: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a parameters file says of its parameters.

    Attributes:
        verdict: ROBUST, WEAK or NOISE; None: they were never examined.
        version: of the program that found them, and ``core`` the hash of the rules that it found them with.
        instrument: on which they were found, by name, and ``symbol``, by the broker's.
        fingerprint: of the bars on which they were found; of ``sentiment`` and ``rolls`` likewise, or ``none``.
        charged: what the search was charged; None: the file does not say.
        changed: settings of the profile that are not the file's any more.
    """

    file: Path
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    version: str | None = None
    core: str | None = None
    instrument: str | None = None
    symbol: str | None = None
    period_ms: int | None = None
    adjustment: str | None = None
    fingerprint: str | None = None
    changed: tuple[str, ...] = ()
    sentiment: str | None = None
    rolls: str | None = None
    charged: Charged | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the program is told, resolved and checked.

    ``explicit`` names the fields of ``params`` that a person set; the others may follow the bar period.
    """

    data_dir: Path
    profile: str
    params: Params
    instrument: InstrumentSpec
    balance_minor: int
    data: DataSettings = field(default_factory=DataSettings)
    run: RunSettings = field(default_factory=RunSettings)
    optimize: OptimizeSettings = field(default_factory=OptimizeSettings)
    found: Found | None = None
    explicit: frozenset[str] = frozenset()
    has_balance: bool = False  # a person said the balance
    rule_file: Path | None = None  # of the custom entry rule; None: a built-in one decides

    def params_for(self, period_ms: int) -> Params:
        """Return the parameters for bars of ``period_ms``; see `resolve_params`."""
        return resolve_params(self.params, period_ms, self.explicit)


def resolve_params(params: Params, period_ms: int, explicit: Set[str] = frozenset()) -> Params:
    """Return ``params`` with the defaults that depend on the bar period filled in.

    A pause of the loss streak or of the volatility spike lasts at least one bar, and the spike's window is at least an
    hour. What ``explicit`` names is the person's own and stays as it is.

    Raises:
        ConfigError: an explicit pause is shorter than one bar, so it could never block anything (PARITY 57).
    """
    for name in ("cooldown_ms", "pause_ms"):
        value_ms = getattr(params, name)
        if name in explicit and value_ms < period_ms:
            setting = name.removesuffix("_ms")
            raise ConfigError(
                "COOLDOWN_TOO_SHORT",
                f"Make breakers.{setting} at least as long as one bar, or leave it out.",
                setting=f"breakers.{setting}",
                value_ms=value_ms,
                bar_ms=period_ms,
            )
    by_period = {
        "cooldown_ms": max(params.cooldown_ms, period_ms),
        "pause_ms": max(params.pause_ms, period_ms),
        "spike_bars": max(params.spike_bars, HOUR_MS // period_ms),
    }
    return params._replace(**{name: value for name, value in by_period.items() if name not in explicit})


__all__ = [
    "BUILT_IN_PROFILES",
    "COST_SETTINGS",
    "Charged",
    "CtraderCredentials",
    "DataSettings",
    "Environment",
    "Found",
    "OptimizeSettings",
    "RelatedSettings",
    "RunSettings",
    "Session",
    "Settings",
    "TokenSettings",
    "resolve_params",
]
