"""The table of every setting: its name, its kind, what it means. Everything else about settings is derived from it.

A name is ``group.leaf``. The groups ``profile``, ``sizing`` and ``breakers`` together are the fields of ``Params``;
there the core's own field names (``sl_ppm``, in the core's units) are understood beside the people's (``sl``, in
percent), because that is how an optimiser writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from palmbot.config.axis import Axis
from palmbot.config.hours import WEEKDAYS, Dates, TimeOfDay, TimeZone, WeeklyHours
from palmbot.config.values import Choice, Cost, Duration, FilePath, Flag, Flags, Kind, Number, Speed, Text, percent
from palmbot.core.types import Pause, Profile, StopKind
from palmbot.settings import Environment
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX, SECOND_MS

PPM = 10_000  # of one percent
BP = 100
FRACTION = Decimal("0.01")
NEVER_ALL = "99.9999"  # a distance of 100 % would be a price of zero

NAME = Text(r"[A-Za-z0-9_.-]+", "a name of letters, digits, dots, dashes and underscores")
CURRENCY = Text(r"[A-Z]{3}", "a currency's three capital letters, for instance MYR")
POINTS = Number(0, 1_000_000, whole=True, scale=PX)
LOTS = Number(Decimal("0.000001"), 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. ``field`` is its name in `Params` or in the settings of its group, where it is one of theirs."""

    name: str
    kind: Kind
    doc: str
    field: str = ""

    @property
    def group(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]

    @property
    def leaf(self) -> str:
        """The part after the dot."""
        return self.name.partition(".")[2]


BOT = (
    Key("bot.data_dir", FilePath(must_exist=False), "folder of everything that is written"),
    Key("bot.profile", NAME, "which profile decides"),
    Key("bot.symbol", NAME, "which instrument: its name, or the broker's symbol"),
    Key("bot.balance", Number(Decimal("0.01"), 10**15), "starting balance of paper and backtest"),
)
DATA = (
    Key("data.file", FilePath(), "bars to trade; without it the market is generated", "file"),
    Key("data.sentiment", FilePath(), "sentiment rows: known_at,score[,published_at,source]", "sentiment_file"),
    Key("data.time_zone", TimeZone(), "zone of stamps that carry no offset", "time_zone"),
    Key(
        "data.period",
        Duration(SECOND_MS, 31 * DAY_MS),
        "bar period; not set: the commonest step of the file",
        "period_ms",
    ),
    Key(
        "data.adjustment",
        Choice({"none": "none", "additive": "additive", "proportional": "proportional"}),
        "how the rolls of the series were adjusted",
        "adjustment",
    ),
    Key("data.rolls", FilePath(), "roll dates of a raw series with the gap of each", "rolls_file"),
    Key(
        "data.unknown_rolls",
        Choice({"refuse": "refuse", "ignore": "ignore"}),
        "a roll whose gap is not known",
        "unknown_rolls",
    ),
    Key(
        "data.adjust",
        Choice({"none": "none", "proportional": "proportional"}),
        "adjust a raw series by the gaps of its rolls",
        "adjust",
    ),
    Key("data.rates", FilePath(), "rates from the quote to the deposit currency", "rates_file"),
)
RUN = (
    Key("run.env", Choice({str(env): env for env in Environment}), "where orders go", "environment"),
    Key("run.speed", Speed(), "market seconds a second, or max", "speed"),
    Key("run.for", Duration(1), "stop after this much wall time", "for_ms"),
    Key("run.resume", FilePath(), "continue the run kept in this folder", "resume_dir"),
    Key("run.exchange", FilePath(), "ready line of an exchange in another process", "exchange_file"),
    Key("run.seed", Number(0, 2**63 - 1, whole=True), "seed of the generated market", "seed"),
    Key("run.period", Duration(MINUTE_MS, 31 * DAY_MS), "bar period of the generated market", "period_ms"),
    Key("run.host", Text(r"[A-Za-z0-9.:\[\]_-]+", "a host name or address"), "address of the dashboard", "host"),
    Key("run.port", Number(0, 65_535, whole=True), "port of the dashboard", "port"),
    Key("run.web", Flag(), "whether there is a dashboard", "web"),
)
OPTIMIZE = (
    Key(
        "optimize.method",
        Choice({"grid": "grid", "genetic": "genetic"}),
        "every point of a grid, or a guided search (NSGA-II) of a finer one",
        "method",
    ),
    Key(
        "optimize.trials",
        Number(1, 10_000_000, whole=True),
        "most combinations tried; of a larger grid, so many points are drawn",
        "trials",
    ),
    Key("optimize.seed", Number(0, 2**63 - 1, whole=True), "seed of everything that is drawn", "seed"),
    Key("optimize.workers", Number(1, 1_024, whole=True), "threads; not set: one a processor", "workers"),
    Key(
        "optimize.dask",
        Text(r"\S+", "the address of a scheduler, for instance tcp://127.0.0.1:8786"),
        "Dask scheduler to fan out to; tls:// off this machine",
        "dask",
    ),
    Key(
        "optimize.trades_min",
        Number(1, 1_000_000, whole=True),
        "a combination with fewer trades is never picked; not set: 30, or a quarter of what is usual if that is more",
        "trades_min",
    ),
)
PARAMS = (
    Key("profile.rule", Choice({rule.name.lower(): int(rule) for rule in Profile}), "entry rule", "profile"),
    Key("profile.rsi_period", Number(2, 1_000, whole=True), "bars of the RSI", "rsi_period"),
    Key("profile.rsi_low", Number(0, 100), "rsi_sentiment: long below; rsi_trend: short below", "rsi_low"),
    Key("profile.rsi_high", Number(0, 100), "rsi_sentiment: short above; rsi_trend: long above", "rsi_high"),
    Key("profile.rsi_exit", Number(0, 100), "leave when the RSI is back through this; 0 = off", "rsi_exit"),
    Key("profile.sentiment_long", Number(-100, 100), "a long needs more than this", "sentiment_long"),
    Key("profile.sentiment_short", Number(-100, 100), "a short needs less than this", "sentiment_short"),
    Key("profile.sentiment_max_age", Duration(1), "older sentiment is neutral", "sentiment_max_age_ms"),
    Key("profile.allow_short", Flag(), "whether shorts are allowed", "allow_short"),
    Key("profile.warmup_bars", Number(1, 1_000_000, whole=True), "closed bars before the first trade", "warmup_bars"),
    Key("profile.atr_period", Number(1, 1_000, whole=True), "bars of the ATR", "atr_period"),
    Key(
        "profile.stop_kind",
        Choice({kind.name.lower(): int(kind) for kind in StopKind}),
        "what holds: sl, tp, trail (percent) or the ones in ATRs",
        "stop_kind",
    ),
    Key("profile.sl", percent("0.0001", NEVER_ALL, PPM), "stop loss", "sl_ppm"),
    Key("profile.tp", percent("0.0001", NEVER_ALL, PPM), "take profit", "tp_ppm"),
    Key("profile.trail", percent("0", NEVER_ALL, PPM), "trailing stop; 0% = off", "trail_ppm"),
    Key("profile.sl_atr", Number(Decimal("0.01"), 1_000), "stop loss in ATRs", "sl_atr"),
    Key("profile.tp_atr", Number(Decimal("0.01"), 1_000), "take profit in ATRs", "tp_atr"),
    Key("profile.trail_atr", Number(0, 1_000), "trailing stop in ATRs; 0 = off", "trail_atr"),
    Key("profile.max_bars", Number(0, 1_000_000, whole=True), "leave after this many bars; 0 = off", "max_bars"),
    Key("profile.decision_ttl", Duration(), "how long a decision waits for a tick; 0s = for any", "decision_ttl_ms"),
    Key(
        "profile.open_gap_max",
        percent("0", "100", BP),
        "drop an entry after a wider open gap; 0% = off",
        "open_gap_max_bp",
    ),
    Key(
        "profile.flat_before",
        Flags({pause.name.lower(): int(pause) for pause in Pause if pause.name}),
        "pauses into which no position is held",
        "flat_before",
    ),
    Key("sizing.risk", percent("0.0001", "100", FRACTION, whole=False), "of equity, risked a trade", "risk_fraction"),
    Key("sizing.exposure_max", Number(Decimal("0.01"), 1_000), "largest position / equity", "exposure_max"),
    Key("sizing.margin_share", percent("0.1", "100", FRACTION, whole=False), "margin / equity", "margin_share"),
    Key(
        "sizing.gap_quantile",
        Number(0, 1),
        "size by this quantile of past open gaps where wider than the stop; 0 = off",
        "gap_quantile",
    ),
    Key("breakers.daily_loss", percent("0", "100", BP), "of the day's opening equity; 0% = off", "daily_loss_bp"),
    Key("breakers.drawdown", percent("0", "100", BP), "from the peak of equity: halt; 0% = off", "drawdown_bp"),
    Key("breakers.rearm_after", Duration(), "end a drawdown halt by itself; 0s = never", "rearm_after_ms"),
    Key(
        "breakers.losses_max",
        Number(0, 1_000_000, whole=True),
        "losses in a row, then a cooldown; 0 = off",
        "losses_max",
    ),
    Key("breakers.cooldown", Duration(1), "pause after a losing streak, at least a bar", "cooldown_ms"),
    Key("breakers.spike", percent("0", "100", BP), "move that counts as a volatility spike; 0% = off", "spike_bp"),
    Key("breakers.spike_bars", Number(1, 100_000, whole=True), "window of the spike in bars", "spike_bars"),
    Key("breakers.pause", Duration(1), "pause after a spike, at least a bar", "pause_ms"),
)
INSTRUMENT = (
    Key("instrument.symbol", NAME, "the broker's symbol"),
    Key("instrument.digits", Number(0, 5, whole=True), "decimals of a price"),
    Key("instrument.period", Duration(SECOND_MS, 31 * DAY_MS), "bar period, where data.period does not say"),
    Key("instrument.time_zone", TimeZone(), "zone of the session's hours"),
    Key("instrument.session", WeeklyHours(), "open hours in that zone, or always"),
    Key("instrument.holidays", Dates(), "closed dates"),
    Key("instrument.day_start", TimeOfDay(), "start of the trading day, UTC"),
    Key("instrument.quote_currency", CURRENCY, "currency of the price"),
    Key("instrument.deposit_currency", CURRENCY, "currency of the account"),
    Key("instrument.money_digits", Number(0, 8, whole=True), "decimals of the account's money"),
    Key("instrument.unit", Text(r"\S{1,12}", "a short word"), "what a price is for, for instance t"),
    Key("instrument.balance", Number(1, 10**12, whole=True), "starting balance where bot.balance does not say"),
    Key("instrument.price_hint", Number(1, 10**9, whole=True), "where the generated market starts"),
    Key("instrument.roll_day", Number(0, 28, whole=True), "first day of a month on which it may roll; 0 = never"),
    Key("instrument.lot", LOTS, "units a lot (25 t)"),
    Key("instrument.volume_step", LOTS, "smallest change of volume in lots"),
    Key("instrument.volume_min", LOTS, "smallest volume in lots"),
    Key("instrument.volume_max", LOTS, "largest volume in lots"),
    Key("instrument.leverage", Number(1, 10_000, whole=True), "position / margin"),
    Key("instrument.spread", Cost(), "ask - bid, in points of price or percent"),
    Key("instrument.slippage", Cost(), "against us on market orders and stops, in points or percent"),
    Key("instrument.commission", Cost(), "a side, in points or percent of the value"),
    Key("instrument.commission_min", Number(0, 10**9), "least commission a side in deposit currency"),
    Key("instrument.conversion_fee", percent("0", "100", BP), "of the profit where the currencies differ"),
    Key("instrument.sl_min", POINTS, "least distance of a stop in points"),
    Key("instrument.tp_min", POINTS, "least distance of a target in points"),
    Key("instrument.swap_long", Cost(signed=True), "a charge in points, or percent a year"),
    Key("instrument.swap_short", Cost(signed=True), "a charge in points, or percent a year"),
    Key("instrument.swap_time", TimeOfDay(), "first charge of a day, UTC"),
    Key("instrument.swap_period", Duration(HOUR_MS, DAY_MS), "time between two charges"),
    Key(
        "instrument.swap_triple",
        Choice({day.lower(): index for index, day in enumerate(WEEKDAYS)} | {"none": -1}),
        "day of the three-fold charge",
    ),
)
# Code that trades: named in the configuration file and nowhere else.
RULE_FILE = Key("profile.rule_file", FilePath(), 'Python file with the function of rule = "custom"')
KEYS = (*BOT, *DATA, *RUN, *OPTIMIZE, *PARAMS, *INSTRUMENT)


def _raw(key: Key) -> Key:
    """Return ``key`` as the core writes it: the same setting, its value in the core's own units."""
    raw = getattr(key.kind, "raw", None)
    return key if raw is None else replace(key, kind=raw())


def _params_by_name(keys: tuple[Key, ...]) -> dict[str, Key]:
    return {key.field: _raw(key) for key in keys if key.field not in {k.leaf for k in PARAMS}} | {
        key.leaf: key for key in keys
    }


_ALL_PARAMS = _params_by_name(PARAMS)
_BOT = {key.leaf: key for key in BOT}
# What each table of the file may hold.
TABLES: Mapping[str, Mapping[str, Key]] = MappingProxyType(
    {
        "bot": _BOT,
        "data": {key.leaf: key for key in DATA},
        "run": {key.leaf: key for key in RUN},
        "optimize": {key.leaf: key for key in OPTIMIZE},
        "sizing": _params_by_name(tuple(key for key in PARAMS if key.group == "sizing")),
        "breakers": _params_by_name(tuple(key for key in PARAMS if key.group == "breakers")),
        "profile": _ALL_PARAMS | {RULE_FILE.leaf: RULE_FILE},
        "instrument": {key.leaf: key for key in INSTRUMENT},
    },
)
# What [optimize.grid] may hold: several values for a parameter, by either of its names.
AXES: Mapping[str, Key] = MappingProxyType(
    {
        name: Key(f"optimize.grid.{key.leaf}", Axis(key.kind), f"values that are tried: {key.doc}", key.field)
        for name, key in _ALL_PARAMS.items()
        if key.field != "profile"  # another rule is another search
    }
)
# What `--set` and the environment may name: the full name, or the leaf alone for the bot and for parameters.
ANYWHERE: Mapping[str, Key] = MappingProxyType(
    _ALL_PARAMS | _BOT | {key.name: key for key in KEYS} | {f"optimize.grid.{name}": key for name, key in AXES.items()}
)
# What a parameters file may name: the core's fields win, so that a dump of `Params` reads back as it was.
FIELDS: Mapping[str, Key] = MappingProxyType(_ALL_PARAMS | {key.field: _raw(key) for key in PARAMS})
