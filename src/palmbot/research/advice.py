"""What follows from an analysis, in sentences; and that nothing does, where nothing does.

A sentence is a recommendation only where the number behind it is told apart from chance, and it says where that number
comes from. Whatever was found was found in this series: it is a hypothesis for other data, and the last sentence says
so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palmbot.research.analysis import Analysis
from palmbot.research.association import Association
from palmbot.research.thresholds import CELL_TRADES_MIN, Thresholds
from palmbot.research.wording import DASH, FEW_TRADES, headline, number_text, percent_text, reason_words

P_MAX = 0.05
FIELD_WORDS = {"rsi_low": "RSI low", "rsi_high": "RSI high", "rsi_period": "RSI period"}


@dataclass(frozen=True, slots=True)
class Advice:
    """``findings`` say what was seen; ``recommendations`` what to try, or one sentence that there is nothing."""

    findings: tuple[str, ...]
    recommendations: tuple[str, ...]


def advice(analysis: Analysis) -> Advice:
    """Return what follows from ``analysis``."""
    findings = [headline(analysis.summary)]
    tries: list[str] = []
    for part in (_correlations, _map, _groups, _levels, _refusals, _excursions):
        seen, to_try = part(analysis)
        findings += seen
        tries += to_try
    if not tries:
        tries = [
            (
                "There is nothing to recommend: no number of this study is told apart from chance. Changing "
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


def _correlations(analysis: Analysis) -> Said:
    told = [each for each in analysis.associations if each.value is not None]
    if not told:
        few = "fewer than ten trades" if 0 < analysis.summary.trades < FEW_TRADES else "too few trades"
        return [f"Correlations of RSI and sentiment with the results cannot be told: {few}."], []
    apart = [each for each in told if each.is_told_apart]
    names = " and ".join(dict.fromkeys(each.cause for each in told if each.kind != "multiple R"))
    if not apart:
        return [f"How strong {names} stood at the entry says nothing about a trade's result."], []
    seen = [f"{_correlation_words(each)}." for each in apart]
    both = {each.cause for each in apart if each.kind == "Pearson"} & {
        each.cause for each in apart if each.kind == "Spearman"
    }
    tries = [
        f"Try a stricter threshold of {each.cause}: stronger signals ended better, by value and by rank."
        if (each.value or 0) > 0
        else f"Try a milder threshold of {each.cause}: stronger signals ended worse, by value and by rank."
        for each in apart
        if each.kind == "Spearman" and each.cause in both
    ]
    return seen, tries


def _correlation_words(each: Association) -> str:
    band = each.band
    ends = DASH if band is None else f"{number_text(band.lo)} to {number_text(band.hi)}"
    chance = "" if each.by_chance is None else f"; chance alone gives up to {number_text(each.by_chance)}"
    return f"{each.kind} of {each.cause} with the result is {number_text(each.value)} ({ends}{chance})"


def _map(analysis: Analysis) -> Said:
    maps = analysis.thresholds
    if maps is None:
        return ["The series is too short for a map of thresholds in two parts."], []
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
    carried = maps.p <= P_MAX
    seen.append(
        f"The two maps have a rank correlation of {number_text(maps.likeness)} over {maps.cells} cells, "
        f"as shuffled prices have with p {number_text(maps.p, 2)}: "
        + ("what was good stayed good." if carried else "what was good in sample says nothing about later.")
    )
    if carried and outside > 1:
        return seen, [f"Look at thresholds around {cell_words(maps)}: their part of the map was above 1 in both parts."]
    return seen, []


def cell_words(maps: Thresholds) -> str:
    """Return the best cell in words, for instance ``RSI low 25 and RSI high 70``."""
    if maps.best is None:
        return "none"
    pairs = zip((maps.down, maps.across), maps.best, strict=True)
    return " and ".join(f"{FIELD_WORDS[name]} {values[index]:g}" for (name, values), index in pairs)


def _groups(analysis: Analysis) -> Said:
    judged = [(part.name, group) for part in analysis.breakdowns for group in part.groups if group.p is not None]
    if not judged:
        return [], []
    apart = [(name, group) for name, group in judged if group.p is not None and group.p < P_MAX]
    if not apart:
        return [f"None of {len(judged)} groups by hour, weekday, session or volatility stands out."], []
    seen = [
        f"{group.label} ({name}): {group.trades} trades with {number_text(group.mean_r)} R on average, unlike the "
        f"others (p {number_text(group.p, 3)}, {len(judged)} groups counted)."
        for name, group in apart
    ]
    tries = [
        f"Try {'only' if (group.mean_r or 0) > 0 else 'without'} {group.label} as a filter of entries."
        for _, group in apart
    ]
    return seen, tries


def _levels(analysis: Analysis) -> Said:
    told = [each for each in analysis.aftermath if each.band is not None and each.band.hi is not None]
    if not told:
        return [], []
    apart = [each for each in told if each.band and each.band.hi is not None and (each.band.lo > 0 or each.band.hi < 0)]
    expected = round(0.1 * len(told))
    seen = [
        (
            f"After {len(apart)} of {len(told)} pairs of RSI level and distance the price moved unlike its average; "
            f"chance alone gives about {expected}."
        )
    ]
    if len(apart) <= 2 * expected:
        return seen, []
    strongest = max(apart, key=lambda each: abs(each.mean_pct or 0) / np.sqrt(each.ahead))
    way = "rose" if (strongest.mean_pct or 0) > 0 else "fell"
    seen.append(
        f"The clearest: {strongest.ahead} bars after an RSI of {strongest.low} to {strongest.high} it {way} by "
        f"{number_text(abs(strongest.mean_pct or 0))} % beyond its drift, before any cost."
    )
    follows = [each for each in apart if ((each.low >= 50) == ((each.mean_pct or 0) > 0))]
    if len(follows) > 0.8 * len(apart):
        return seen, [
            "Strength was followed by strength here: a rule that follows RSI deserves a test before one that fades it."
        ]
    if len(follows) < 0.2 * len(apart):
        return seen, [
            "Strength was followed by weakness here: a rule that fades RSI deserves a test before one that follows it."
        ]
    return seen, []


def _refusals(analysis: Analysis) -> Said:
    seen, tries = [], []
    for each in analysis.refused:
        if each.mean_r is None or each.mean_r_band is None or each.mean_r_band.hi is None:
            continue
        words = reason_words(each.reason.name)
        band = f"{number_text(each.mean_r_band.lo)} to {number_text(each.mean_r_band.hi)}"
        if each.mean_r_band.hi < 0:
            seen.append(f"Refusing for {words} saved {number_text(-each.sum_r, 1)} R over {each.shadows} trades.")
        elif each.mean_r_band.lo > 0 and each.shadows >= FEW_TRADES:
            seen.append(
                f"Refusing for {words} cost {number_text(each.sum_r, 1)} R over {each.shadows} trades ({band} each)."
            )
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
