"""What follows from an analysis, in sentences; and that nothing does, where nothing does.

A sentence is a recommendation only where the number behind it is told apart from chance, every number counted that the
study looked at (``looks``), and it says where that number comes from. Whatever was found was found in this series: it
is a hypothesis for other data, and the last sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palmbot.research.aftermath import STEP_RSI
from palmbot.research.analysis import Analysis
from palmbot.research.association import Association
from palmbot.research.looks import P_MAX, Looks
from palmbot.research.moments import spreads
from palmbot.research.thresholds import CELL_TRADES_MIN, NoMap, Thresholds
from palmbot.research.wording import DASH, FEW_TRADES, headline, number_text, percent_text, reason_words

FIELD_WORDS = {"rsi_low": "RSI low", "rsi_high": "RSI high", "rsi_period": "RSI period"}


@dataclass(frozen=True, slots=True)
class Advice:
    """``findings`` say what was seen; ``recommendations`` what to try, or one sentence that there is nothing."""

    findings: tuple[str, ...]
    recommendations: tuple[str, ...]


def advice(analysis: Analysis) -> Advice:
    """Return what follows from ``analysis``."""
    findings = [headline(analysis.summary), *_looks(analysis.looks)]
    tries: list[str] = []
    for part in (_correlations, _map, _groups, _directions, _refusals, _excursions):
        seen, to_try = part(analysis)
        findings += seen
        tries += to_try
    if not tries:
        tries = [
            (
                "There is nothing to recommend: nothing that a rule could use is told apart from chance. Changing "
                "thresholds, hours or filters on it would be fitting noise."
            ),
        ]
    else:
        tries.append(
            "All of this was seen in one series. Take it as a hypothesis: try it on data that were not used here, "
            "with palmbot walk-forward, before any money follows it.",
        )
    return Advice(tuple(findings), tuple(tries))


Said = tuple[list[str], list[str]]


def _looks(looks: Looks) -> list[str]:
    if looks.total == 0:
        return []
    asked = ", ".join(f"{name} ({count})" for name, count in looks.by_question.items() if count > 0)
    share = f"{100 * P_MAX:g} %"
    of_all = "" if looks.questions == 1 else f" ({share} / {looks.questions})"
    sentence = (
        f"Looked at {looks.total} numbers: {asked}. Each p counts all numbers of its kind, and only "
        f"{number_text(looks.level, 3)} or less{of_all} is more than chance: where there is nothing to find, at most "
        f"{share} of such studies recommend anything."
    )
    return [sentence]


def p_text(p: float | None) -> str:
    """Return ``p`` in words."""
    return "p below 0.001" if p is not None and p < 0.001 else f"p {number_text(p, 3)}"


def _correlations(analysis: Analysis) -> Said:
    told = [each for each in analysis.associations if each.value is not None]
    if not told:
        few = "fewer than ten trades" if 0 < analysis.summary.trades < FEW_TRADES else "too few trades"
        return [f"Correlations of RSI and sentiment with the results cannot be told: {few}."], []
    apart = [each for each in told if analysis.looks.is_beyond(each.p)]
    *others, last = dict.fromkeys(each.cause for each in told if each.kind != "multiple R")
    if not apart:
        names = f"{', '.join(others)} and {last}" if others else last
        return [f"How strong {names} stood at the entry says nothing about a trade's result."], []
    seen = [f"{_correlation_words(each)}." for each in apart]
    both = {each.cause for each in apart if each.kind == "Pearson"} & {
        each.cause for each in apart if each.kind == "Spearman"
    }
    tries = [
        _try_of(each.cause, is_better=(each.value or 0) > 0, is_related=each.cause in analysis.related)
        for each in apart
        if each.kind == "Spearman" and each.cause in both
    ]
    return seen, tries


def _try_of(cause: str, *, is_better: bool, is_related: bool) -> str:
    if is_related:
        way = "with" if is_better else "against"
        return (
            f"Look at {cause} before you trade: where it had moved {way} the trade, trades ended better, by value and "
            "by rank. No rule can ask for it."
        )
    if is_better:
        return f"Try a stricter threshold of {cause}: stronger signals ended better, by value and by rank."
    return f"Try a milder threshold of {cause}: stronger signals ended worse, by value and by rank."


def _correlation_words(each: Association) -> str:
    band = each.band
    ends = DASH if band is None else f"{number_text(band.lo)} to {number_text(band.hi)}, {p_text(each.p)}"
    chance = "" if each.by_chance is None else f"; chance alone gives up to {number_text(each.by_chance)}"
    return f"{each.kind} of {each.cause} with the result is {number_text(each.value)} ({ends}{chance})"


def _map(analysis: Analysis) -> Said:
    maps = analysis.thresholds
    if isinstance(maps, NoMap):
        return [maps.value], []
    idle = [FIELD_WORDS[name] for name, values in (maps.down, maps.across) if len(values) == 1]
    if idle:
        seen, tries = _both_maps(analysis, maps)
        return [f"The entry rule does not ask for {idle[0]}: changing it changes no trade.", *seen], tries
    return _both_maps(analysis, maps)


def _both_maps(analysis: Analysis, maps: Thresholds) -> Said:
    if maps.best is None:
        return [f"No pair of thresholds made {CELL_TRADES_MIN} trades in sample: there is no map to read."], []
    inside, outside = maps.in_sample.profit_factor[maps.best], maps.out_of_sample.profit_factor[maps.best]
    later = (
        f"made {number_text(float(outside))} in the part after"
        if maps.out_of_sample.trades[maps.best] >= CELL_TRADES_MIN and np.isfinite(outside)
        else "made too few trades to tell in the part after"
    )
    seen = [
        f"The best thresholds in sample, {cell_words(maps)}, had a profit factor of {number_text(inside)} and {later}."
    ]
    if maps.likeness is None or maps.p is None:
        return [*seen, "Too few cells have trades enough in both parts to compare the maps."], []
    carried = analysis.looks.is_beyond(maps.p)
    seen.append(
        f"The two maps have a rank correlation of {number_text(maps.likeness)} over {maps.cells} cells, "
        f"as shuffled prices have with {p_text(maps.p)}: "
        + ("what was good stayed good." if carried else "luck does as much, so that it says nothing about later.")
    )
    if carried and outside > 1:
        return seen, [f"Look at thresholds around {cell_words(maps)}: their part of the map was above 1 in both parts."]
    return seen, []


def cell_words(maps: Thresholds) -> str:
    """Return the best cell in words, for instance ``RSI low 25 and RSI high 70``."""
    if maps.best is None:
        return "none"
    pairs = zip((maps.down, maps.across), maps.best, strict=True)
    return " and ".join(f"{FIELD_WORDS[name]} {values[index]:g}" for (name, values), index in pairs if len(values) > 1)


def _groups(analysis: Analysis) -> Said:
    judged = [(part.name, group) for part in analysis.breakdowns for group in part.groups if group.p is not None]
    if not judged:
        return [], []
    apart = [(name, group) for name, group in judged if analysis.looks.is_beyond(group.p)]
    if not apart:
        return [f"None of {len(judged)} groups by hour, weekday, session or volatility stands out."], []
    seen = [
        f"{group.label} ({name}): {group.trades} trades with {number_text(group.mean_r)} R on average, unlike the "
        f"others ({p_text(group.p)} of all {len(judged)} groups)."
        for name, group in apart
    ]
    tries = [
        f"Try entries {'only' if (group.mean_r or 0) > 0 else 'without those'} of {name.split()[0]} {group.label}."
        for name, group in apart
    ]
    return seen, tries


def _directions(analysis: Analysis) -> Said:
    told = analysis.directions
    apart = [each for each in told if analysis.looks.is_beyond(each.p)]
    if not told:
        return [], []
    if not apart:
        return [
            "Where the price went does not depend on how strong RSI stood, over any of the distances looked at."
        ], []
    clearest = min(apart, key=lambda each: (each.p, -abs(each.step_pct)))
    size, way = abs(clearest.step_pct), "more" if clearest.step_pct > 0 else "less"
    bars = f"{clearest.ahead} bar{'s' if clearest.ahead > 1 else ''}"
    sentence = (
        f"Over {bars} the price rose {number_text(size, 3)} % {way} after an RSI that was {STEP_RSI} points higher "
        f"({p_text(clearest.p)} of {len(told)} distances)."
    )
    prices = analysis.data.bars.open_px
    spread_pct = float(np.median(100.0 * spreads(analysis.data.spec.core, analysis.data.bars) / prices))
    if size < spread_pct:
        return [
            sentence,
            f"The spread, {number_text(spread_pct, 3)} %, is wider than that: no rule can live on it.",
        ], []
    follows = ("strength", "follows", "fades") if clearest.step_pct > 0 else ("weakness", "fades", "follows")
    to_try = "Strength was followed by {} here: a rule that {} RSI deserves a test before one that {} it."
    return [sentence], [to_try.format(*follows)]


def _refusals(analysis: Analysis) -> Said:
    seen, tries = [], []
    for each in analysis.refused:
        if each.mean_r is None or not analysis.looks.is_beyond(each.p):
            continue
        words, p = reason_words(each.reason.name), p_text(each.p)
        if each.mean_r < 0:
            seen.append(f"Refusing for {words} saved {number_text(-each.sum_r, 1)} R over {each.shadows} trades ({p}).")
        else:
            seen.append(f"Refusing for {words} cost {number_text(each.sum_r, 1)} R over {each.shadows} trades ({p}).")
            tries.append(f"Look at whether {words} must refuse as often as it does: what it refused would have earned.")
    return seen, tries


def _excursions(analysis: Analysis) -> Said:
    rows = analysis.moments
    won, lost = rows[rows["pnl_minor"] > 0], rows[rows["pnl_minor"] < 0]
    seen = []
    if len(won) >= CELL_TRADES_MIN and np.isfinite(won["mae_r"]).all():
        depth = float(np.quantile(won["mae_r"], 0.9))
        seen.append(f"Nine of ten winners were never more than {number_text(depth)} R under water.")
    if len(lost) >= CELL_TRADES_MIN and np.isfinite(lost["mfe_r"]).all():
        share = float((lost["mfe_r"] >= 1.0).mean())
        seen.append(f"{percent_text(share)} of the losers had been 1 R ahead before they lost.")
    return seen, []
