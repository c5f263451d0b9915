"""A study as one JSON object: the keys of the contract, and everything else that was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from palmbot.core.types import Reason
from palmbot.research.evidence import Evidence, WalkForward, Window
from palmbot.research.study import Study


def to_json(study: Study) -> dict[str, Any]:
    """Return ``study`` as JSON values; what is not known, or has no number, is null."""
    evidence, bars = study.evidence, study.data.bars.ts_ms.shape[0]
    speed = bars * study.search.trials / study.search_seconds if study.search_seconds > 0 else None
    body = {
        "trials": study.search.trials,
        "bars": bars,
        "seconds": study.search_seconds,
        "bar_combinations_per_s": speed,
        "best": _best(study),
        "verdict": study.verdict.word,
        "reasons": list(study.verdict.reasons),
        "walk_forward": {"rolling": _walk(evidence.rolling), "anchored": _walk(evidence.anchored)},
        "pbo": evidence.pbo,
        "dsr": evidence.deflated_sharpe,
        "p_shuffled": None if evidence.shuffled is None else evidence.shuffled.p,
        "p_sign_flipped": None if evidence.sign_flipped is None else evidence.sign_flipped.p,
        **_evidence(evidence),
        "unexamined": list(study.unexamined),
        "profile": study.settings.profile,
        "seed": study.settings.seed,
        "balance_minor": study.settings.balance_minor,
        "money_digits": study.data.spec.core.money_digits,
        "trades_min": study.search.trades_min,
        "trades_usual": study.search.trades_usual,
        "fast_share": study.search.fast_share,
        "study_seconds": study.seconds,
        "data": {
            "name": study.data.name,
            "fingerprint": study.data.fingerprint,
            "synthetic": study.data.synthetic,
            "notes": list(study.data.notes),
        },
    }
    return {name: _plain(value) for name, value in body.items()}


def _best(study: Study) -> dict[str, Any] | None:
    search, run = study.search, study.run
    if search.best is None or search.best_params is None or study.in_sample is None or run is None:
        return None
    return {
        "params": search.best_params._asdict(),
        "score": float(search.scores[search.best]),
        **asdict(study.in_sample),
        "halts": _halts(run.halts),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    fan = evidence.fan
    return {
        "sharpe": evidence.sharpe,
        "probabilistic_sharpe": evidence.probabilistic_sharpe,
        "expected_max_sharpe": evidence.expected_max_sharpe,
        "track_record_min_days": evidence.track_record_min,
        "days": evidence.days,
        "surrogates": [asdict(each) for each in (evidence.shuffled, evidence.sign_flipped) if each is not None],
        "costs": [asdict(each) for each in evidence.costs],
        "plateau": None if evidence.plateau is None else asdict(evidence.plateau),
        "fan": None
        if fan is None
        else {name: getattr(fan, name) for name in ("levels", "drawdown_pct", "drawdown_at_1pct_pct", "risk_fraction")},
        "sees_ahead": evidence.sees_ahead,
        "targets": [asdict(each) for each in evidence.targets],
    }


def _walk(walked: WalkForward | None) -> dict[str, Any] | None:
    if walked is None:
        return None
    band = walked.profit_factor_band
    return {
        **asdict(walked.tally),
        "profit_factor_band": None if band is None else list(band),
        "windows": [_window(each) for each in walked.windows],
        "halts": _halts(walked.halts),
        "stopped_out_ms": walked.stopped_out_ms,
    }


def _window(window: Window) -> dict[str, Any]:
    return asdict(window) | {"params": None if window.params is None else window.params._asdict()}


def _halts(halts: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    return [{"ts_ms": ts_ms, "reason": Reason(reason).name} for ts_ms, reason in halts]


def _plain(value: object) -> object:
    """Return ``value`` as JSON knows it: no arrays, no NaN, no infinity."""
    if isinstance(value, np.ndarray | tuple | list):
        return [_plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
