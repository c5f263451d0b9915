"""A file of parameters that were found, ``best_params.json``, or one that was written by hand.

``{"profile": name, "params": {field: value}}`` is enough. What else ``palmbot optimize`` writes, the verdict above all,
is kept beside the settings: who trades the parameters has to know it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from palmbot.config.keys import FIELDS
from palmbot.config.sources import Assignment, find_key, text_of, written_of
from palmbot.errors import ConfigError
from palmbot.settings import COST_SETTINGS, Charged, Found

FORMAT: Final = 1
KINDS: Final = MappingProxyType(
    {
        "profile": str,
        "params": dict,
        "verdict": str,
        "reasons": list,
        "version": str,
        "core": str,
        "data": dict,
        "costs": dict,
    }
)
FACTS: Final = MappingProxyType(
    {
        **dict.fromkeys(("instrument", "symbol", "adjustment", "fingerprint", "sentiment", "rolls"), str),
        "period_ms": int,
    }
)
NUMBERS: Final = tuple(each.name for each in fields(Charged) if each.name != "written")
COSTS: Final = MappingProxyType(dict.fromkeys(COST_SETTINGS, str) | dict.fromkeys(NUMBERS, int))
VERDICTS: Final = ("ROBUST", "WEAK", "NOISE")


@dataclass(frozen=True, slots=True)
class ParamsFile:
    """One file: the profile it names (None: none), its parameters, and what it says of them."""

    file: Path
    profile: str | None
    params: tuple[Assignment, ...]
    verdict: str | None
    reasons: tuple[str, ...]
    version: str | None
    core: str | None
    data: Mapping[str, Any]
    charged: Charged | None

    def as_settings(self, values: Mapping[str, Assignment]) -> Found:
        """Return what the file says; ``values`` are the assignments that hold.

        Sizing and breakers may be set otherwise than they were in the search; another rule of entry or exit is another
        profile, of which nothing is known.
        """
        changed = (
            each.key.leaf
            for each in self.params
            if each.key.group == "profile" and _differ(values[each.key.name], each)
        )
        return Found(
            file=self.file,
            verdict=self.verdict,
            reasons=self.reasons,
            version=self.version,
            core=self.core,
            changed=tuple(changed),
            charged=self.charged,
            **self.data,
        )


def _differ(one: Assignment, other: Assignment) -> bool:
    """Return whether two assignments of one setting say different values."""
    return one is not other and one.value() != other.value()


def read_params(path: Path) -> ParamsFile:
    """Return what ``path`` holds.

    Raises:
        ConfigError: it is no file of parameters, or one of a format that this version does not know.
    """
    document = _document(path)
    wrong = _wrong(document)
    if wrong:
        todo = 'Give a file like {"profile": "rsi_sentiment", "params": {"rsi_low": 25}}, or search again.'
        raise ConfigError("BAD_PARAMS_FILE", todo, file=str(path), wrong=",".join(wrong))
    if document.get("format", FORMAT) != FORMAT:
        todo = "Search again: this version reads another format."
        raise ConfigError(
            "PARAMS_OTHER_FORMAT", todo, file=str(path), format=document["format"], version=document.get("version")
        )
    return ParamsFile(
        file=path,
        profile=document.get("profile"),
        params=tuple(_assignment(name, value, str(path)) for name, value in document["params"].items()),
        verdict=document.get("verdict"),
        reasons=tuple(str(each) for each in document.get("reasons") or ()),
        version=document.get("version"),
        core=document.get("core"),
        data={name: (document.get("data") or {}).get(name) for name in FACTS},
        charged=_charged(document.get("costs")),
    )


def _charged(costs: Mapping[str, Any] | None) -> Charged | None:
    if costs is None:
        return None
    return Charged({name: costs[name] for name in COST_SETTINGS}, **{name: costs[name] for name in NUMBERS})


def _wrong(document: Mapping[str, Any]) -> list[str]:
    """Return the names of what is not as it should be."""
    if document.get("params") is None:
        return ["params"]
    wrong = [name for name, kind in KINDS.items() if not _is_kind(document.get(name), kind)]
    if not wrong:
        data = document.get("data") or {}
        wrong = [f"data.{name}" for name, kind in FACTS.items() if not _is_kind(data.get(name), kind)]
    costs = document.get("costs")
    if not wrong and costs is not None:  # whole, or not at all
        wrong = [
            f"costs.{name}"
            for name, kind in COSTS.items()
            if costs.get(name) is None or not _is_kind(costs[name], kind)
        ]
        wrong += [f"costs.{name}" for name in ("price_px", "rate_e8") if not wrong and costs[name] < 1]
    if not wrong and document.get("verdict") not in (*VERDICTS, None):
        wrong = ["verdict"]
    return wrong


def _is_kind(value: object, kind: type) -> bool:
    return value is None or (isinstance(value, kind) and not isinstance(value, bool))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text_of(path), parse_float=Decimal, parse_constant=Decimal)
    except json.JSONDecodeError as error:
        todo = f"Repair the JSON there: {error.msg.lower()}."
        raise ConfigError("BAD_JSON", todo, file=str(path), line=error.lineno, column=error.colno) from None
    return document if isinstance(document, dict) else {}


def _assignment(name: str, value: object, source: str) -> Assignment:
    key, written = find_key(name, FIELDS, source), written_of(value)
    if written is None:
        raise ConfigError("BAD_TEXT", "Write one value here.", setting=key.name, source=source)
    return Assignment(key, written, source)
