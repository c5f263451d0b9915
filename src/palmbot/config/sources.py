"""Where settings are written, and how each place becomes a list of assignments. No setting is understood here.

From weak to strong: what is built in, ``palmbot.toml``, ``.env``, ``PALMBOT_*`` variables, ``--params``, the options
of the command, ``--set``. Each assignment remembers its place for messages and for ``palmbot config show``.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from palmbot.config.keys import ANYWHERE, AXES, RULE_FILE, TABLES, Key
from palmbot.config.related import GROUP, RELATED, related_key
from palmbot.config.values import BadTextError, FilePath
from palmbot.errors import ConfigError

FILE_NAME = "palmbot.toml"
PREFIX = "PALMBOT_"
# Secrets and deployment variables with our prefix that are no settings.
NO_SETTINGS = frozenset({"PALMBOT_DASHBOARD_PASSWORD", "PALMBOT_TOKEN_KEY", "PALMBOT_LIVE_ACCOUNT"})
NAMED = ("instrument", "profile")  # tables of tables, each with a name of its own
_INSIDE = MappingProxyType({"optimize": "grid", "data": "related"})  # tables that hold one more
OPTIONS = MappingProxyType(
    {
        "--data": "data.file",
        "--sentiment": "data.sentiment",
        "--profile": "bot.profile",
        "--symbol": "bot.symbol",
        "--balance": "bot.balance",
        "--env": "run.env",
        "--resume": "run.resume",
        "--exchange": "run.exchange",
        "--speed": "run.speed",
        "--seed": "run.seed",
        "optimize --seed": "optimize.seed",
        "--method": "optimize.method",
        "--trials": "optimize.trials",
        "--workers": "optimize.workers",
        "--dask": "optimize.dask",
        "--for": "run.for",
        "--host": "run.host",
        "--port": "run.port",
        "--no-web": "run.web",
    },
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that settings may come from.

    ``options`` maps an option of the command (``--data``, or ``optimize --seed`` where commands differ) to its text.
    """

    folder: Path = field(default_factory=Path)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    config_file: Path | None = None
    params_file: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """One setting, given as ``text`` at the place ``source``."""

    key: Key
    text: str
    source: str

    def value(self) -> Any:  # noqa: ANN401 - each key has its own type
        """Return the value of the text.

        Raises:
            ConfigError: the text is not a value of this setting.
        """
        try:
            return self.key.kind.parse(self.text.strip())
        except BadTextError as bad:
            raise ConfigError(
                bad.code, bad.todo, setting=self.key.name, value=repr(self.text), source=self.source
            ) from None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The tables of ``palmbot.toml``: assignments of the plain ones, and of each named instrument and profile.

    ``bases`` maps ``instrument.NAME`` and ``profile.NAME`` to the ``base`` written there.
    """

    plain: tuple[Assignment, ...] = ()
    instruments: Mapping[str, tuple[Assignment, ...]] = field(default_factory=dict)
    profiles: Mapping[str, tuple[Assignment, ...]] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)


def find_key(name: str, known: Mapping[str, Key], source: str) -> Key:
    """Return the key called ``name``.

    Raises:
        ConfigError: there is none; the message names the closest.
    """
    key = known.get(name) or related_key(name)
    if key is None:
        if name.rpartition(".")[2] == RULE_FILE.leaf:
            todo = "Write it in [profile.NAME] of the configuration file: it is code, and is named nowhere else."
            raise ConfigError("RULE_FILE_ELSEWHERE", todo, setting=RULE_FILE.name, source=source)
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        close += [full for full in known if full.endswith(f".{name.rpartition('.')[2]}") and full not in close]
        advice = f"Did you mean {' or '.join(close)}?" if close else "`palmbot config schema` lists every setting."
        raise ConfigError("UNKNOWN_SETTING", advice, setting=name, source=source)
    return key


def from_file(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        ConfigError: the file is missing, is not TOML, or names a setting that does not exist.
    """
    text = text_of(path)
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = {"line": place[1], "column": place[2]} if place else {"line": text.count("\n") + 1}
        raise ConfigError("BAD_TOML", f"Repair the TOML there: {_reason(error)}.", file=str(path), **where) from None
    plain: list[Assignment] = []
    named: dict[str, dict[str, tuple[Assignment, ...]]] = {table: {} for table in NAMED}
    bases: dict[str, str] = {}
    for table, content in document.items():
        if table not in TABLES or not isinstance(content, dict):
            raise _no_table(table, content, _place(path, text, "", table))
        if table not in named:
            inside = _INSIDE.get(table, "")
            inner = content.pop(inside, {})
            if not isinstance(inner, dict):
                raise _no_table(inside, inner, _place(path, text, table, inside))
            plain += _table(path, text, table, content)
            plain += _related(path, text, inner) if inside == "related" else _table(path, text, f"{table}.grid", inner)
            continue
        for name, inner in content.items():
            where_is = _place(path, text, table, name)
            if not isinstance(inner, dict):
                raise ConfigError(
                    "UNKNOWN_SETTING", f"Write it under [{table}.NAME].", setting=f"{table}.{name}", source=where_is
                )
            base = inner.pop("base", None)
            if base is not None:
                bases[f"{table}.{name}"] = str(base)
            named[table][name] = _table(path, text, f"{table}.{name}", inner)
    return ConfigFile(tuple(plain), named["instrument"], named["profile"], bases)


def _no_table(name: str, content: object, source: str) -> ConfigError:
    close = difflib.get_close_matches(name, TABLES, n=1)
    if close and isinstance(content, dict):
        advice = f"Did you mean [{close[0]}]?"
    else:
        tables = ", ".join(f"[{table}.NAME]" if table in NAMED else f"[{table}]" for table in TABLES)
        advice = f"Every setting is in one of the tables {tables}."
    return ConfigError("UNKNOWN_SETTING", advice, setting=name, source=source)


def _reason(error: tomllib.TOMLDecodeError) -> str:
    return re.sub(r"\s*\(at .*\)$", "", str(error)).lower()


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: there is none, or it is no text.
    """
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError("FILE_NOT_FOUND", "Give the path of a file that exists.", file=str(path)) from None
    except (UnicodeDecodeError, PermissionError) as error:
        raise ConfigError(
            "FILE_NOT_READABLE", "Give a readable text file in UTF-8.", file=str(path), why=type(error).__name__
        ) from None


def _place(path: Path, text: str, table: str, name: str) -> str:
    """Return ``file:line`` of ``name`` in ``[table]``, or the file alone where the line is not plain to see."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            inside = header[1].replace('"', "").replace(" ", "")
            if inside == (f"{table}.{name}" if table else name):
                return f"{path}:{number}"
        elif inside == table and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return f"{path}:{number}"
    return str(path)


def _table(path: Path, text: str, table: str, content: Mapping[str, Any]) -> tuple[Assignment, ...]:
    known = AXES if table == "optimize.grid" else TABLES[table.partition(".")[0]]
    if table.startswith(f"{GROUP}."):
        known = {leaf: replace(key, name=f"{table}.{leaf}") for leaf, key in RELATED.items()}
    found: dict[str, Assignment] = {}
    for name, value in content.items():
        source = _place(path, text, table, name)
        key = find_key(name, known, source)
        written = written_of(value)
        if written is None:
            raise ConfigError("BAD_TEXT", "Write one value here, not a table.", setting=key.name, source=source)
        if key.name in found:
            raise ConfigError(
                "SETTING_TWICE",
                "Keep one of the two lines.",
                setting=key.name,
                source=source,
                also=found[key.name].source,
            )
        if isinstance(key.kind, FilePath) and path.parent != Path():
            written = str(path.parent / Path(written).expanduser())
        found[key.name] = Assignment(key, written, source)
        found[key.name].value()  # a table that is not used today is checked today
    return tuple(found.values())


def _related(path: Path, text: str, content: Mapping[str, Any]) -> tuple[Assignment, ...]:
    """Return the assignments of ``[data.related.NAME]``."""
    found: list[Assignment] = []
    for name, inner in content.items():
        table = f"{GROUP}.{name}"
        if not isinstance(inner, dict) or related_key(f"{table}.file") is None:
            todo = f"Write [{GROUP}.NAME] with a name of small letters, digits and underscores, and below it file = ..."
            raise ConfigError("UNKNOWN_SETTING", todo, setting=table, source=_place(path, text, GROUP, name))
        found += _table(path, text, table, inner)
    return tuple(found)


def written_of(value: object) -> str | None:
    """Return a value of TOML or JSON as a person would write it on the command line; None for a table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        parts = [written_of(part) for part in value]
        return None if None in parts else ", ".join(part for part in parts if part is not None) or "none"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict) and value.keys() == {"from", "to", "step"}:
        return "from {from} to {to} step {step}".format_map({name: written_of(each) for name, each in value.items()})
    return str(value) if isinstance(value, (str, int, Decimal)) else None


def from_environment(environ: Mapping[str, str], source: str) -> tuple[Assignment, ...]:
    """Return the assignments of ``PALMBOT_*`` variables: ``PALMBOT_DATA__PERIOD`` is ``data.period``."""
    return tuple(
        Assignment(
            find_key(name.removeprefix(PREFIX).lower().replace("__", "."), ANYWHERE, f"{source} {name}"),
            text,
            f"{source} {name}",
        )
        for name, text in environ.items()
        if name.startswith(PREFIX) and name not in NO_SETTINGS and text
    )


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the ``NAME=value`` lines of a ``.env`` file; empty where there is none.

    Raises:
        ConfigError: a line is something else.
    """
    if not path.exists():
        return {}
    values: dict[str, str] = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(
            r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^#]*?))\s*(?:#.*)?", line
        )
        if match is None:
            # the line itself may hold a secret: only its number is shown
            raise ConfigError("BAD_DOTENV", "Write NAME=value on each line.", file=str(path), line=number)
        values[match[1]] = next((text for text in match.groups()[1:] if text is not None), "")
    return values


def from_options(options: Mapping[str, str]) -> tuple[Assignment, ...]:
    """Return the assignments of the command's own options."""
    return tuple(Assignment(ANYWHERE[OPTIONS[option]], text, option) for option, text in options.items())


def from_sets(sets: tuple[str, ...]) -> tuple[Assignment, ...]:
    """Return the assignments of ``--set key=value``.

    Raises:
        ConfigError: one has no ``=``, or names a setting that does not exist.
    """
    assignments = []
    for written in sets:
        name, equals, text = written.partition("=")
        if not equals or not name.strip():
            raise ConfigError("BAD_SET", "Write --set name=value, for instance --set rsi_low=25.", value=repr(written))
        assignments.append(Assignment(find_key(name.strip(), ANYWHERE, "--set"), text, f"--set {name.strip()}"))
    return tuple(assignments)
