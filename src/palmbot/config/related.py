"""``[data.related.NAME]``: series of other markets, any number of them, each under a name of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from palmbot.config.keys import Key
from palmbot.config.values import Duration, FilePath, Number
from palmbot.errors import ConfigError
from palmbot.settings import RelatedSettings
from palmbot.units import DAY_MS

GROUP = "data.related"
RELATED: Mapping[str, Key] = MappingProxyType(
    {
        "file": Key(f"{GROUP}.file", FilePath(), "bars (their close), or rows known_at,value", "file"),
        "known_after": Key(
            f"{GROUP}.known_after", Duration(1, 31 * DAY_MS), "from the stamp of a bar until its close is known",
            "known_after_ms",
        ),
        "stale_after": Key(
            f"{GROUP}.stale_after", Duration(1, 365 * DAY_MS), "a value known for longer counts as unknown; 7d",
            "stale_after_ms",
        ),
        "rows": Key(f"{GROUP}.rows", Number(1, 10_000, whole=True), "rows over which its change is taken; 1", "rows"),
    }
)  # fmt: skip
_FULL = re.compile(rf"{re.escape(GROUP)}\.([a-z0-9_]+)\.({'|'.join(RELATED)})")


def related_key(name: str) -> Key | None:
    """Return the setting ``data.related.NAME.leaf``; None where ``name`` is no such name."""
    match = _FULL.fullmatch(name)
    return None if match is None else replace(RELATED[match[2]], name=name)


def related_of(keys: Iterable[Key], value: Mapping[str, Any]) -> tuple[RelatedSettings, ...]:
    """Return the related series that ``keys`` name, by name.

    Raises:
        ConfigError: one of them has no file.
    """
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        match = _FULL.fullmatch(key.name)
        if match is not None:
            found.setdefault(match[1], {})[key.field] = value[key.name]
    for name, fields in found.items():
        if "file" not in fields:
            todo = f'Write file = "..." and known_after = "20h", or whatever holds for it, in [{GROUP}.{name}].'
            raise ConfigError("RELATED_NO_FILE", todo, setting=f"{GROUP}.{name}.file")
    return tuple(RelatedSettings(name, **fields) for name, fields in sorted(found.items()))
