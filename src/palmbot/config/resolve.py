"""From assignments to settings: the strongest assignment of each key wins, then everything is checked together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmbot.config.instrument import DEFAULTS, REQUIRED, instrument_of, values_of
from palmbot.config.keys import ANYWHERE, DATA, INSTRUMENT, OPTIMIZE, PARAMS, RULE_FILE, RUN, Key
from palmbot.config.params_file import ParamsFile, read_params
from palmbot.config.related import related_of
from palmbot.config.sources import (
    FILE_NAME,
    Assignment,
    ConfigFile,
    Sources,
    from_environment,
    from_file,
    from_options,
    from_sets,
    read_dotenv,
)
from palmbot.core.types import Params, Profile
from palmbot.errors import ConfigError
from palmbot.instruments import BUILT_IN_INSTRUMENTS, PALM_OIL
from palmbot.settings import BUILT_IN_PROFILES, DataSettings, OptimizeSettings, RunSettings, Settings
from palmbot.units import minor_of_money

BUILT_IN = "built in"
# The bottom layer of the tables that are not parameters or an instrument.
_TYPES = {name: type(default) for name, default in Params()._asdict().items()}
START = {"bot.data_dir": "palmbot-data", "bot.profile": "rsi_sentiment", "bot.symbol": PALM_OIL.name}


@dataclass(frozen=True, slots=True)
class Resolution:
    """The settings, and for each setting the assignment that won (absent: not set)."""

    settings: Settings
    values: Mapping[str, Assignment]


def load_settings(sources: Sources) -> Settings:
    """Return the settings that ``sources`` add up to.

    Raises:
        ConfigError: any of them is wrong; the first one, with its place and what to write instead.
    """
    return resolve(sources).settings


def resolve(sources: Sources) -> Resolution:
    """Return the settings of ``sources`` and where each comes from. Raises as `load_settings` does."""
    file = _config_file(sources)
    found = None if sources.params_file is None else read_params(sources.params_file)
    given = _given(sources, found)
    chosen = _merge(_start(), file.plain, given)
    profile, base = _profile(chosen["bot.profile"], file)
    name, instrument = _instrument_layers(chosen["bot.symbol"], file)
    values = _merge(
        _start(), _shown(PARAMS, base._asdict()), instrument, file.plain, file.profiles.get(profile, ()), given
    )
    _refuse_incomplete(name, values)
    _spread_period(values)
    settings = _settings(profile, name, values, _fixed(values, given, found))
    return Resolution(settings if found is None else replace(settings, found=found.as_settings(values)), values)


def _merge(*layers: Iterable[Assignment]) -> dict[str, Assignment]:
    return {assignment.key.name: assignment for layer in layers for assignment in layer}


def _start() -> tuple[Assignment, ...]:
    texts = tuple(Assignment(ANYWHERE[name], text, BUILT_IN) for name, text in START.items())
    data, run, search = DataSettings(), RunSettings(), OptimizeSettings()
    return (
        *texts,
        *_shown(DATA, {key.field: getattr(data, key.field) for key in DATA}),
        *_shown(RUN, {key.field: getattr(run, key.field) for key in RUN}),
        *_shown(OPTIMIZE, {key.field: getattr(search, key.field) for key in OPTIMIZE}),
    )


def _shown(keys: Iterable[Key], values: Mapping[str, Any]) -> tuple[Assignment, ...]:
    """Return the built-in ``values`` (by field) as assignments; None is not set."""
    return tuple(
        Assignment(key, key.kind.show(values[key.field]), BUILT_IN) for key in keys if values[key.field] is not None
    )


def _config_file(sources: Sources) -> ConfigFile:
    if sources.config_file is not None:
        return from_file(sources.config_file)
    usual = sources.folder / FILE_NAME
    return from_file(usual) if usual.exists() else ConfigFile()


def _given(sources: Sources, found: ParamsFile | None) -> tuple[Assignment, ...]:
    """Return everything that is stronger than the file, weakest first."""
    environment = (
        *from_environment(read_dotenv(sources.folder / ".env"), ".env"),
        *from_environment(sources.environ, "environment"),
    )
    commanded = (*from_options(sources.options), *from_sets(sources.sets))
    if found is None:
        return (*environment, *commanded)
    profile, source = found.profile, str(found.file)
    asked = next((each for each in reversed(commanded) if each.key.name == "bot.profile"), None)
    if profile is not None and asked is not None and asked.text != profile:
        raise ConfigError(
            "PROFILE_CONFLICT",
            "Leave --profile out, or use parameters that were found for it.",
            profile=asked.text,
            file=source,
            file_profile=profile,
        )
    chosen = () if profile is None else (Assignment(ANYWHERE["bot.profile"], profile, source),)
    return (*environment, *chosen, *found.params, *commanded)


def _fixed(values: Mapping[str, Assignment], given: tuple[Assignment, ...], found: ParamsFile | None) -> frozenset[str]:
    """Return the fields of the parameters that hold because the command or the environment said so."""
    read = () if found is None else found.params
    return frozenset(key.field for key in PARAMS if values[key.name] in given and values[key.name] not in read)


def _profile(chosen: Assignment, file: ConfigFile) -> tuple[str, Params]:
    """Return the name of the profile and the built-in parameters it starts from."""
    name = chosen.value()
    base = file.bases.get(f"profile.{name}", name)
    if name not in file.profiles and name not in BUILT_IN_PROFILES:
        raise _unknown("UNKNOWN_PROFILE", "profile", chosen, [*BUILT_IN_PROFILES, *file.profiles])
    if base not in BUILT_IN_PROFILES:
        raise _no_base("profile", name, file, BUILT_IN_PROFILES)
    return name, BUILT_IN_PROFILES[base]


def _instrument_layers(chosen: Assignment, file: ConfigFile) -> tuple[str, tuple[Assignment, ...]]:
    """Return the name of the instrument, and its built-in settings followed by those of the file."""
    asked: str = chosen.value()
    symbols = {spec.symbol: name for name, spec in BUILT_IN_INSTRUMENTS.items()}
    for own, table in file.instruments.items():
        symbols |= {each.text: own for each in table if each.key.leaf == "symbol"}
    known = [*BUILT_IN_INSTRUMENTS, *file.instruments]
    name = asked if asked in known else symbols.get(asked)
    if name is None:
        raise _unknown("UNKNOWN_SYMBOL", "symbol", chosen, [*known, *symbols])
    written = file.bases.get(f"instrument.{name}")
    if written is not None and written not in BUILT_IN_INSTRUMENTS:
        raise _no_base("instrument", name, file, BUILT_IN_INSTRUMENTS)
    spec = BUILT_IN_INSTRUMENTS.get(written or name)
    by_leaf = {key.leaf: key for key in INSTRUMENT}
    texts = DEFAULTS if spec is None else {leaf: by_leaf[leaf].kind.show(v) for leaf, v in values_of(spec).items()}
    built_in = tuple(Assignment(by_leaf[leaf], text, BUILT_IN) for leaf, text in texts.items())
    return name, (*built_in, *file.instruments.get(name, ()))


def _unknown(code: str, what: str, chosen: Assignment, known: list[str]) -> ConfigError:
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(chosen.text, names, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    return ConfigError(
        code, f"{hint}Known are: {', '.join(names)}.", **{what: repr(chosen.text), "source": chosen.source}
    )


def _no_base(table: str, name: str, file: ConfigFile, known: Iterable[str]) -> ConfigError:
    facts = {"table": f"[{table}.{name}]", "base": file.bases.get(f"{table}.{name}")}
    return ConfigError("UNKNOWN_BASE", f'Write base = "NAME" there, one of: {", ".join(known)}.', **facts)


def _refuse_incomplete(name: str, values: Mapping[str, Assignment]) -> None:
    missing = [leaf for leaf in REQUIRED if f"instrument.{leaf}" not in values]
    if missing:
        raise ConfigError(
            "INSTRUMENT_INCOMPLETE",
            f'Write them in [instrument.{name}], or base = "palm_oil" to take its own.',
            missing=",".join(missing),
        )


def _spread_period(values: dict[str, Assignment]) -> None:
    """Let the instrument's bar period stand for those of the file and of the generated market that nobody set."""
    period = values.get("instrument.period")
    for name in ("data.period", "run.period"):
        if period is not None and (name not in values or values[name].source == BUILT_IN):
            values[name] = replace(period, key=ANYWHERE[name])


def _settings(profile: str, name: str, values: Mapping[str, Assignment], fixed: frozenset[str]) -> Settings:
    value = {key: assignment.value() for key, assignment in values.items()}
    instrument = instrument_of(name, {key.leaf: value[key.name] for key in INSTRUMENT if key.name in value})
    settings = Settings(
        data_dir=value["bot.data_dir"],
        profile=profile,
        params=_params(value),
        instrument=instrument,
        balance_minor=minor_of_money(value.get("bot.balance", instrument.balance), instrument.core.money_digits),
        data=DataSettings(
            **{key.field: value[key.name] for key in DATA if key.name in value},
            related=related_of((given.key for given in values.values()), value),
        ),
        run=RunSettings(**{key.field: value[key.name] for key in RUN if key.name in value}),
        optimize=_optimize(value, fixed),
        explicit=frozenset(key.field for key in PARAMS if values[key.name].source != BUILT_IN),
        has_balance="bot.balance" in values,
        rule_file=_rule_file(value),
    )
    _check(settings, values)
    return settings


def _params(value: Mapping[str, Any]) -> Params:
    """Return the parameters, each in the core's own type (int or float)."""
    return Params(**{key.field: _TYPES[key.field](value[key.name]) for key in PARAMS})


def _rule_file(value: Mapping[str, Any]) -> Path | None:
    """Return the file of the custom entry rule; None where the rule is built in."""
    if value["profile.rule"] != Profile.CUSTOM:
        return None
    file: Path | None = value.get(RULE_FILE.name)
    if file is None:
        todo = 'Write rule_file = "my_rule.py" beside it, in [profile.NAME] of the configuration file.'
        raise ConfigError("RULE_FILE_MISSING", todo, setting="profile.rule", value="custom")
    if value.get("optimize.dask") is not None:
        todo = "Leave out one of them: a cluster would have to take code from here, so it trades built-in rules only."
        raise ConfigError("CONFLICTING_SETTINGS", todo, dask=value["optimize.dask"], rule_file=file)
    return file


def _optimize(value: Mapping[str, Any], fixed: frozenset[str]) -> OptimizeSettings:
    """Return how to search, the axes in the order of the parameters' table."""
    axes = {
        key.field: tuple(map(_TYPES[key.field], value[f"optimize.grid.{key.leaf}"]))
        for key in PARAMS
        if f"optimize.grid.{key.leaf}" in value
    }
    said = {key.field: value[key.name] for key in OPTIMIZE if key.name in value}
    return OptimizeSettings(**said, axes=axes, fixed=fixed)


def _check(settings: Settings, values: Mapping[str, Assignment]) -> None:
    """Refuse settings that are each right but not together."""
    params, data = settings.params, settings.data
    _ordered(params.rsi_low, params.rsi_high, "profile.rsi_low", "profile.rsi_high")
    _ordered(params.sentiment_short, params.sentiment_long, "profile.sentiment_short", "profile.sentiment_long")
    needed = max(params.rsi_period, params.atr_period)
    if params.warmup_bars <= needed:
        raise ConfigError(
            "WARMUP_TOO_SHORT",
            "Make profile.warmup_bars larger than both indicator periods.",
            warmup_bars=params.warmup_bars,
            longest_period=needed,
        )
    if settings.run.resume_dir is not None and data.file is not None:
        raise ConfigError(
            "CONFLICTING_SETTINGS",
            "Leave out one of them: --resume goes on with the data its run began with.",
            data=values["data.file"].source,
            resume=values["run.resume"].source,
        )
    if settings.run.exchange_file is not None and (data.file is not None or settings.run.resume_dir is not None):
        other = "data.file" if data.file is not None else "run.resume"
        raise ConfigError(
            "CONFLICTING_SETTINGS",
            "Leave out one of them: an exchange in another process brings its own market.",
            exchange=values["run.exchange"].source,
            **{other.partition(".")[2]: values[other].source},
        )
    bar_ms = data.period_ms if data.file is not None else settings.run.period_ms
    if bar_ms is not None:  # else the loader learns it from the file and asks the same question
        settings.params_for(bar_ms)


def _ordered(low: float, high: float, low_name: str, high_name: str) -> None:
    if not low < high:
        raise ConfigError(
            "BAD_THRESHOLDS", f"Make {low_name} smaller than {high_name}.", **{low_name: low, high_name: high}
        )
