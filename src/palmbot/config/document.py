"""The commented configuration file and the JSON schema, both written from the table of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmbot.config.keys import AXES, BOT, DATA, INSTRUMENT, OPTIMIZE, PARAMS, RULE_FILE, RUN, TABLES, Key
from palmbot.config.related import RELATED
from palmbot.config.resolve import resolve
from palmbot.config.sources import NAMED, Assignment, Sources

_HEAD = """\
# Settings of palm-oil-bot. Each line that begins with "# " and a name shows what is built in ("..." is not set): take
# the # away to change it. Stronger than this file, in this order: .env, PALMBOT_* variables (data.period is
# PALMBOT_DATA__PERIOD), --params, the options of the command, --set name=value. `palmbot config show` says what holds
# and where it was said.
#
# Percentages carry their sign ("1.5%"), durations their unit ("5s", "10m", "2h", "1d"), costs are points of the
# price (2) or percent of it ("0.05%"). Secrets do not belong here: they are read from the environment and .env.
"""
_PARAMS_HEAD = """\
# A profile of your own: a name, what it starts from (rsi_sentiment or rsi_trend), and what it changes.
# Sizing and breakers may be set here too; [sizing] and [breakers] hold for every profile.
#   [profile.mine]
#   base = "rsi_sentiment"
#   rsi_low = 25

[profile.rsi_sentiment]
"""
_GRID_HEAD = """\
# What is searched instead of the profile's own grid, each setting with the values it may take.
#   [optimize.grid]
#   rsi_low = [20, 25, 30]
#   rsi_high = {from = 60, to = 80, step = 5}
#   sl = ["1%", "2%"]
"""
_RELATED_HEAD = """\
# A series of another market, for `palmbot analyze`: its bars, and how long after its stamp the close of one is known.
#   [data.related.soybean_oil]
#   file = "soybean_oil.csv"
#   known_after = "20h"
"""
_INSTRUMENT_HEAD = """\
# Another instrument: its name and everything that differs; base = "palm_oil" takes the rest from the built-in one.
#   [instrument.brent]
#   symbol = "XBRUSD"
#   digits = 2
#   quote_currency = "USD"
#   lot = 100
#   leverage = 10
#   spread = 0.04
#   slippage = 0.02
#   commission = "0.005%"

[instrument.palm_oil]
"""


def template() -> str:
    """Return the text of a commented ``palmbot.toml`` that changes nothing."""
    built_in = resolve(Sources(environ={})).values
    parts = [_HEAD]
    parts += [
        _lines("bot", BOT, built_in),
        _lines("data", DATA, built_in) + _RELATED_HEAD,
        _lines("run", RUN, built_in),
    ]
    parts.append(_lines("optimize", OPTIMIZE, built_in) + _GRID_HEAD)
    for group in ("sizing", "breakers"):
        parts.append(_lines(group, tuple(key for key in PARAMS if key.group == group), built_in))
    profile_keys = tuple(key for key in PARAMS if key.group == "profile")
    parts.append(_PARAMS_HEAD + _settings((*profile_keys, RULE_FILE), built_in))
    parts.append(_INSTRUMENT_HEAD + _settings(INSTRUMENT, built_in))
    return "\n".join(parts)


def _lines(table: str, keys: tuple[Key, ...], built_in: Mapping[str, Assignment]) -> str:
    return f"[{table}]\n{_settings(keys, built_in)}"


def _settings(keys: tuple[Key, ...], built_in: Mapping[str, Assignment]) -> str:
    name_width = max(len(key.leaf) for key in keys)
    texts = {name: _toml(assignment.key, assignment.text) for name, assignment in built_in.items()}
    lines = [f"# {key.leaf:<{name_width}} = {texts.get(key.name, '...')}" for key in keys]
    width = min(max(len(line) for line in lines), 40)
    return "".join(f"{line:<{width}}  # {key.doc}\n" for key, line in zip(keys, lines, strict=True))


def _toml(key: Key, text: str) -> str:
    """Return ``text`` as a TOML value."""
    kind = key.kind.schema()
    if kind.get("type") in {"number", "integer", "boolean"} or (_is_number(text) and "anyOf" in kind):
        return text
    if kind.get("type") == "array" or any(each.get("type") == "array" for each in kind.get("anyOf", ())):
        return "[" + ", ".join(f'"{part.strip()}"' for part in text.split(",") if part != "none") + "]"
    return f'"{text}"'


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).removeprefix("-").isdigit()


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``palmbot.toml``."""

    def table(name: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
        properties = {leaf: key.kind.schema() | {"description": key.doc} for leaf, key in TABLES[name].items()}
        return {"type": "object", "additionalProperties": False, "properties": (extra or {}) | properties}

    base = {"base": {"type": "string", "description": "the built-in one that this starts from"}}
    grid = {name: key.kind.schema() | {"description": key.doc} for name, key in AXES.items()}
    series = {leaf: key.kind.schema() | {"description": key.doc} for leaf, key in RELATED.items()}
    one = {"type": "object", "additionalProperties": False, "required": ["file"], "properties": series}
    inner: dict[str, dict[str, Any]] = {
        "optimize": {"grid": {"type": "object", "additionalProperties": False, "properties": grid}},
        "data": {"related": {"type": "object", "additionalProperties": one, "description": "other markets, by name"}},
    }
    properties = {
        name: {"type": "object", "additionalProperties": table(name, base)}
        if name in NAMED
        else table(name, inner.get(name))
        for name in TABLES
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "palmbot.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
