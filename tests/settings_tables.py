"""The tables of ``docs/configuration.md``, written from the configuration module.

``python -m tests.settings_tables`` prints them all: that is how the document is renewed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from palmbot.config import Sources, resolve
from palmbot.config.hours import Dates, TimeOfDay, TimeZone, WeeklyHours
from palmbot.config.instrument import DEFAULTS, REQUIRED
from palmbot.config.keys import BOT, DATA, INSTRUMENT, OPTIMIZE, PARAMS, RUN, Key
from palmbot.config.sources import OPTIONS
from palmbot.config.values import Choice, Cost, Duration, FilePath, Flag, Flags, Kind, Number, Speed, Text
from palmbot.core.live_breakers import Limits

NOT_SET = "not set"
NOT_YET = {  # settings that are understood but do nothing, or refuse, in this version
    "run.env": "`demo` and `live` refuse in this version",
    "run.host": "no effect yet",
    "run.port": "no effect yet",
    "run.web": "no effect yet",
}
WORDS: Mapping[type, str] = MappingProxyType(
    {
        Duration: "duration",
        Flag: "`true` or `false`",
        FilePath: "path",
        Speed: "number, or `max`",
        TimeOfDay: "time, UTC",
        TimeZone: "zone",
        WeeklyHours: "hours",
        Dates: "dates",
    }
)


def written(kind: Kind) -> str:
    """Return how a value of ``kind`` is written, with its limits."""
    match kind:
        case Number(low=low, high=high, suffix=suffix):
            limits = f"{low:,}{suffix} to {high:,}{suffix}"
            name = "whole number" if kind.whole and kind.scale == 1 else "number"
            return limits if suffix else f"{name}, {limits}"
        case Choice(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case Flags(values=values):
            return f"any of {', '.join(f'`{value}`' for value in values)}, or `none`"
        case Cost(signed=signed):
            return "points or %, either sign" if signed else "points or %"
        case Text(hint=hint):
            return hint
    return WORDS[type(kind)]


def built_in(profile: str = "rsi_sentiment") -> Mapping[str, str]:
    """Return the text of every setting that has a value when nobody says anything, by full name."""
    with TemporaryDirectory() as empty:
        values = resolve(Sources(Path(empty), {}, options={"--profile": profile})).values
    return {name: given.key.kind.show(given.value()) for name, given in values.items()}


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = list(header)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _plain(keys: Iterable[Key]) -> str:
    option_of = {name: option for option, name in OPTIONS.items()}
    default = built_in()
    rows = (
        (
            f"`{key.name}`",
            _code(default.get(key.name)),
            written(key.kind),
            _code(option_of.get(key.name), ""),
            "; ".join(filter(None, (key.doc, NOT_YET.get(key.name)))),
        )
        for key in keys
    )
    return table(("setting", "default", "written as", "option", "meaning"), rows)


def _params(group: str) -> str:
    default, other = built_in(), built_in("rsi_trend")
    keys = [key for key in PARAMS if key.group == group]
    differs = any(default[key.name] != other[key.name] for key in keys)
    header = ("`rsi_sentiment`", "`rsi_trend`") if differs else ("default",)
    rows = (
        (
            f"`{key.name}`",
            *(_code(texts[key.name]) for texts in ((default, other) if differs else (default,))),
            written(key.kind),
            f"`{key.field}`",
            key.doc,
        )
        for key in keys
    )
    return table(("setting", *header, "written as", "core's name", "meaning"), rows)


def _instrument() -> str:
    default = built_in()
    rows = (
        (f"`{key.name}`", _code(default.get(key.name)), _own(key.leaf), written(key.kind), key.doc)
        for key in INSTRUMENT
    )
    return table(("setting", "`palm_oil`", "without a base", "written as", "meaning"), rows)


def _own(leaf: str) -> str:
    if leaf in REQUIRED:
        return "must be said"
    return "as the quote" if leaf == "deposit_currency" else _code(DEFAULTS.get(leaf))


def _limits() -> str:
    return table(("limit", "value"), ((f"`{name}`", f"{value:,}") for name, value in Limits()._asdict().items()))


def _code(text: str | None, missing: str = NOT_SET) -> str:
    return missing if text is None else f"`{text}`"


TABLES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "bot": lambda: _plain(BOT),
        "data": lambda: _plain(DATA),
        "run": lambda: _plain(RUN),
        "optimize": lambda: _plain(OPTIMIZE),
        "profile": lambda: _params("profile"),
        "sizing": lambda: _params("sizing"),
        "breakers": lambda: _params("breakers"),
        "instrument": _instrument,
        "limits": _limits,
    }
)


if __name__ == "__main__":
    for name, made in TABLES.items():
        sys.stdout.write(f"<!-- table: {name} -->\n{made()}\n\n")
