"""``best_params.json``: the best combination of a search with everything that tells what it is worth.

``palmbot backtest --params`` and ``palmbot run --params`` read it by ``palmbot.config``; what it may hold is said by
``schema``.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import palmbot
from palmbot.core.types import Params
from palmbot.errors import PalmbotError
from palmbot.research.charges import charged
from palmbot.research.evidence import Tally, Target
from palmbot.research.known import fingerprint
from palmbot.research.result import DataSet
from palmbot.research.study import Study
from palmbot.research.verdict import decisive
from palmbot.settings import COST_SETTINGS
from palmbot.units import RATE_ONE_E8

FORMAT: Final = 1  # as ``config.params_file`` reads it


@dataclass(frozen=True, slots=True)
class Method:
    """How the combinations were chosen: ``grid`` or ``genetic``, of how many points, by which seed."""

    name: str
    points: int
    seed: int


def document(study: Study, method: Method, costs: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the content of the file; None where nothing was found.

    ``costs`` are the settings of the instrument that say what trading costs, as they are written.
    """
    search, evidence = study.search, study.evidence
    if search.best is None or search.best_params is None:
        return None
    worse = decisive(evidence)
    return {
        "format": FORMAT,
        "version": palmbot.__version__,
        "core": palmbot.CORE_HASH,
        "profile": study.settings.profile,
        "params": search.best_params._asdict(),
        "verdict": study.verdict.word,
        "reasons": list(study.verdict.reasons),
        "targets": [_target(each) for each in evidence.targets],
        "data": _data(study.data),
        "costs": _costs(study.data, costs),
        "method": method.name,
        "points": method.points,
        "trials": search.trials,
        "seed": method.seed,
        "trades_min": search.trades_min,
        "trades_usual": search.trades_usual,
        "balance_minor": study.settings.balance_minor,
        "score": float(search.scores[search.best]),
        "in_sample": _tally(study.in_sample),
        "out_of_sample": None if worse is None else _tally(worse.tally),
        "pbo": evidence.pbo,
        "dsr": evidence.deflated_sharpe,
        "p_shuffled": None if evidence.shuffled is None else evidence.shuffled.p,
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` to ``path`` by way of a neighbour file: a reader finds the old file or the new one.

    Raises:
        PalmbotError: it cannot be written; what stood at ``path`` is untouched.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        todo = "Make room, or name another file with --out. Repeat the command: what was tried is not tried again."
        raise PalmbotError("BEST_PARAMS_NOT_WRITTEN", todo, file=path, reason=repr(error.strerror)) from error


def _data(data: DataSet) -> dict[str, Any]:
    bars = data.bars
    return {
        "name": data.name,
        "instrument": data.spec.name,
        "symbol": data.spec.symbol,
        "period_ms": data.period_ms,
        "adjustment": data.adjustment,
        "synthetic": data.synthetic,
        "bars": int(bars.ts_ms.shape[0]),
        "first_ms": int(bars.ts_ms[0]),
        "last_ms": int(bars.ts_ms[-1]),
        "fingerprint": data.fingerprint,
        "sentiment": fingerprint(data.sentiment),
        "rolls": fingerprint(data.rolls),
    }


def _costs(data: DataSet, written: Mapping[str, str]) -> dict[str, Any]:
    bars = data.bars
    rate_e8 = int(bars.rate_e8[-1]) if bars.rate_e8.size else RATE_ONE_E8  # none: one currency
    found = asdict(charged(data.spec.core, int(bars.close_px[-1]), rate_e8, {}))
    return {**written, **{name: found[name] for name in found if name != "written"}}


def _tally(tally: Tally | None) -> dict[str, Any] | None:
    return None if tally is None else {name: getattr(tally, name) for name in _TALLY}


def _target(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in _TARGET}


def _kind(*types: str, **more: object) -> dict[str, Any]:
    return {"type": types[0] if len(types) == 1 else [*types], **more}


def _object(properties: Mapping[str, Any], *, required: bool, null: bool = False) -> dict[str, Any]:
    names = {"required": [*properties]} if required else {}
    return {"type": ["object", "null"] if null else "object", "properties": dict(properties), **names}


_RATE = _kind("number", "null", minimum=0, maximum=1)
_TALLY: Final = {
    "trades": _kind("integer", minimum=0),
    "win_rate": _RATE,
    "profit_factor": _kind("number", "null", minimum=0),
    "max_drawdown_pct": _kind("number", minimum=0),
    "net_minor": _kind("integer"),
}
_TARGET: Final = {
    "name": _kind("string"),
    "in_sample": _kind("number", "null"),
    "out_of_sample": _kind("number", "null"),
    "met_in_sample": _kind("boolean"),
    "met_out_of_sample": _kind("boolean"),
}
_DATA: Final = {
    "name": _kind("string"),
    "instrument": _kind("string"),
    "symbol": _kind("string"),
    "period_ms": _kind("integer", minimum=1),
    "adjustment": {"enum": ["none", "additive", "proportional"]},
    "synthetic": _kind("boolean"),
    "bars": _kind("integer", minimum=1),
    "first_ms": _kind("integer"),
    "last_ms": _kind("integer"),
    "fingerprint": _kind("string", pattern="^[0-9a-f]+$"),
    "sentiment": _kind("string", pattern="^(none|[0-9a-f]+)$", description="fingerprint of what was known"),
    "rolls": _kind("string", pattern="^(none|[0-9a-f]+)$"),
}
_COSTS: Final = {
    **{name: _kind("string", description=f"instrument.{name}") for name in COST_SETTINGS},
    "price_px": _kind("integer", minimum=1, description="last close, at which what follows is worked out"),
    "rate_e8": _kind("integer", minimum=1, description="last rate from quote to deposit currency"),
    "round_trip_px": _kind("integer", minimum=0, description="spread, and a slippage and commission a side, a unit"),
    "night_long_px": _kind("integer", description="a day's swap, a unit; below zero where it pays"),
    "night_short_px": _kind("integer"),
    "conversion_fee_bp": _kind("integer", minimum=0, description="of the profit"),
}


def schema() -> dict[str, Any]:
    """Return the JSON schema of ``best_params.json``, as ``palmbot optimize`` writes it."""
    fields = {
        name: _kind("integer" if kind is int else "number") for name, kind in typing.get_type_hints(Params).items()
    }
    properties = {
        "format": {"const": FORMAT},
        "version": _kind("string", description="of the program that searched"),
        "core": _kind("string", description="hash of the compiled rules that it searched with"),
        "profile": _kind("string"),
        "params": _object(fields, required=True),
        "verdict": {"enum": ["ROBUST", "WEAK", "NOISE"]},
        "reasons": _kind("array", items=_kind("string")),
        "targets": _kind("array", items=_object(_TARGET, required=True)),
        "data": _object(_DATA, required=True),
        "costs": _object(_COSTS, required=True),
        "method": {"enum": ["grid", "genetic"]},
        "points": _kind("integer", minimum=1, description="of the whole grid"),
        "trials": _kind("integer", minimum=1, description="combinations tried"),
        "seed": _kind("integer", minimum=0),
        "trades_min": _kind("integer", minimum=1, description="fewer gave a combination no score"),
        "trades_usual": _kind(
            "integer",
            "null",
            minimum=0,
            description="median number of trades that trades_min follows; null: it was said",
        ),
        "balance_minor": _kind("integer", minimum=1),
        "score": _kind("number", minimum=0, maximum=1),
        "in_sample": _object(_TALLY, required=True, null=True),
        "out_of_sample": _object(_TALLY, required=True, null=True),
        "pbo": _RATE,
        "dsr": _RATE,
        "p_shuffled": _RATE,
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "best_params.json"}
    return head | _object(properties, required=True)
