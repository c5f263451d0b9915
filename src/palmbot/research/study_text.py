"""A study as text for a terminal: the verdict first, then short tables, each figure with what it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from palmbot.core.types import Reason
from palmbot.research.bootstrap import Band
from palmbot.research.evidence import Evidence, Surrogates, Tally, WalkForward
from palmbot.research.search import TRADES_MIN
from palmbot.research.study import Study
from palmbot.research.verdict import decisive
from palmbot.research.wording import day_text, money_text, number_text, percent_text, reason_words, value_words

Rows = Sequence[tuple[str, ...]]
HALTS_TOLD = 5


def text(study: Study) -> str:
    """Return ``study`` as text that ends ``optimize`` and ``walk-forward``."""
    blocks = [_head(study)]
    if study.in_sample is not None and study.search.best_params is not None:
        worse = decisive(study.evidence)
        blocks += [
            _best(study),
            _table(numbers_rows(study, study.in_sample, worse)),
            _table(target_rows(study.evidence)),
            _table(luck_rows(study.evidence)),
            _table(cost_rows(study.evidence)),
            *(_walk(each) for each in (study.evidence.rolling, study.evidence.anchored) if each is not None),
        ]
        blocks.append("\n".join(chain(doubt_lines(study.evidence), halt_lines(study, worse))))
    blocks.append(_took(study))
    return "\n\n".join(block for block in blocks if block)


def _head(study: Study) -> str:
    label = "SYNTHETIC market\n" if study.data.synthetic else ""
    return f"{label}{study.verdict.word}\n" + "\n".join(study.verdict.reasons)


def _best(study: Study) -> str:
    """Return the winner by what was varied to find it."""
    table, best = study.search.table, study.search.best or 0
    varied = [name for name in table.dtype.names or () if np.unique(table[name]).size > 1]
    values = ", ".join(f"{name} {value_words(name, table[name][best].item())}" for name in varied)
    return f"The best of {study.search.trials:,} combinations of {study.settings.profile}: {values or 'the only one'}"


def numbers_rows(study: Study, inside: Tally, walked: WalkForward | None) -> Rows:
    """Return the winner's numbers in sample beside those of the walk-forward that decides."""
    outside, digits = None if walked is None else walked.tally, study.data.spec.core.money_digits
    name = "out of sample" if walked is None else f"out of sample, {walked.kind}"
    risk = percent_text(None if study.search.best_params is None else study.search.best_params.risk_fraction)
    rows: Sequence[tuple[str, Callable[[Tally], str]]] = (
        ("trades", lambda tally: f"{tally.trades:,}"),
        ("profit factor", factor_text),
        ("win rate", lambda tally: percent_text(tally.win_rate)),
        ("  by stop and target alone", lambda tally: percent_text(tally.geometry_win_rate)),
        (f"max drawdown at your {risk} a trade", lambda tally: number_text(tally.max_drawdown_pct, 1, "%")),
        ("  at 1 % risk a trade", lambda tally: number_text(tally.drawdown_at_1pct_pct, 1, "%")),
        (f"net result, {study.data.spec.deposit_currency}", lambda tally: money_text(tally.net_minor, digits)),
    )
    found = [("", "in sample", name)]
    for label, show in rows:
        found.append((label, show(inside), "-" if outside is None else show(outside)))
    if walked is not None:
        found.insert(3, ("  5-95 %", "", _band(walked.profit_factor_band)))
    return found


def factor_text(tally: Tally) -> str:
    """Return the profit factor of ``tally``."""
    return "no loss" if tally.trades and tally.profit_factor is None else number_text(tally.profit_factor)


def _band(band: Band | None) -> str:
    return "-" if band is None else f"{number_text(band.lo)} to {'...' if band.hi is None else number_text(band.hi)}"


def target_rows(evidence: Evidence) -> Rows:
    """Return whether each of the plan's targets was met."""
    return [
        ("the plan's targets", "in sample", "out of sample"),
        *(
            (target.name, "met" if target.met_in_sample else "missed", "met" if target.met_out_of_sample else "missed")
            for target in evidence.targets
        ),
    ]


def luck_rows(evidence: Evidence) -> Rows:
    """Return what speaks for luck, each beside what proof asks for."""
    shuffled, flipped = evidence.shuffled, evidence.sign_flipped
    needed = None if evidence.track_record_min is None else f"{evidence.track_record_min:,.0f} of {evidence.days:,}"
    return [
        ("is it luck?", "", "proof asks for"),
        ("as good on shuffled prices", _as_good(shuffled), "p < 0.01"),
        ("as good on sign-flipped prices", _as_good(flipped), ""),
        ("chance of an overfitted choice (PBO)", percent_text(evidence.pbo), "< 20 %"),
        (
            "confidence in an edge after so many tries (deflated Sharpe)",
            percent_text(evidence.deflated_sharpe),
            "> 95 %",
        ),
        ("  had it been the only try (probabilistic Sharpe)", percent_text(evidence.probabilistic_sharpe), ""),
        ("  and days needed to believe it then, of those seen", needed or "-", ""),
    ]


def _as_good(surrogates: Surrogates | None) -> str:
    if surrogates is None:
        return "-"
    as_good = round(surrogates.p * (1 + surrogates.count)) - 1
    silent = int(np.isnan(surrogates.scores).sum())  # of too few trades; they count as worse
    without = f", {silent} without a score" if silent else ""
    return f"{as_good} of {surrogates.count}{without}, p = {number_text(surrogates.p, 3)}"


def cost_rows(evidence: Evidence) -> Rows:
    """Return the profit factor at other costs."""
    if not evidence.costs:
        return []
    return [
        ("profit factor if trading costs", *(f"x {number_text(each.factor, 1)}" for each in evidence.costs)),
        ("  in sample", *(factor_text(each.in_sample) for each in evidence.costs)),
        ("  out of sample", *(factor_text(each.out_of_sample) for each in evidence.costs)),
    ]


def _walk(walked: WalkForward) -> str:
    """Return the windows of ``walked``, each with what its training promised and what its test kept."""
    rows = [(f"walk-forward, {walked.kind}", "factor trained", "tested", "trades", "win rate", "drawdown")]
    for window in walked.windows:
        test = window.test
        rows.append(
            (
                f"{day_text(window.test_from_ms)} to {day_text(window.test_to_ms)}",
                "nothing" if window.train is None else factor_text(window.train),
                factor_text(test),
                f"{test.trades:,}",
                percent_text(test.win_rate),
                number_text(test.max_drawdown_pct, 1, "%"),
            )
        )
    return _table(rows)


def doubt_lines(evidence: Evidence) -> Iterator[str]:
    """Yield what else speaks for or against the winner, a sentence each."""
    plateau, fan = evidence.plateau, evidence.fan
    if plateau is not None and plateau.median_score is not None:
        yield (
            f"Its {plateau.neighbours} neighbours in the grid: median score {number_text(plateau.median_score, 3)} "
            f"beside its {number_text(plateau.score, 3)}, median profit factor "
            f"{number_text(plateau.median_profit_factor)}."
        )
    elif plateau is not None:
        yield "No neighbour of it was tried, so nobody knows whether it is a lonely peak."
    if fan is not None:
        own, at_one = fan.drawdown_pct, fan.drawdown_at_1pct_pct
        yield (
            f"Its trades drawn again at random: one path in twenty falls by {number_text(own[-1], 1, '%')} or more at "
            f"{percent_text(fan.risk_fraction)} risk a trade, by {number_text(at_one[-1], 1, '%')} at 1 %."
        )
    if evidence.trades_usual is not None and evidence.trades_min > TRADES_MIN:
        yield (
            f"A combination had to make {evidence.trades_min:,} trades to be judged, a quarter of the "
            f"{evidence.trades_usual:,} that are usual among them: of fewer the luckiest win."
        )
    if evidence.sees_ahead is False:
        yield "Cut off before its end, the series gave the same decisions up to there: nothing sees ahead."


def halt_lines(study: Study, walked: WalkForward | None) -> Iterator[str]:
    """Yield when breakers halted trading."""
    sources = (("in sample", () if study.run is None else study.run.halts), ("out of sample", _halts_of(walked)))
    for where, halts in sources:
        if halts:
            told = [f"{day_text(ts_ms)} {reason_words(Reason(reason).name)}" for ts_ms, reason in halts[:HALTS_TOLD]]
            more = f", and {len(halts) - HALTS_TOLD} more" if len(halts) > HALTS_TOLD else ""
            yield f"Breakers {where}: {', '.join(told)}{more}."
    is_final = study.base.rearm_after_ms == 0 and any(reason == Reason.HALT_DRAWDOWN for _, reason in _halts_of(walked))
    if is_final:
        yield "Each test begins with breakers set anew; a bot would have stood still from its first drawdown halt on."


def _halts_of(walked: WalkForward | None) -> tuple[tuple[int, int], ...]:
    return () if walked is None else walked.halts


def _took(study: Study) -> str:
    bars = study.data.bars
    count = bars.ts_ms.shape[0]
    first, last = day_text(int(bars.ts_ms[0])), day_text(int(bars.ts_ms[-1]))
    made = (
        f"{study.data.name}: {count:,} bars, {first} to {last}; {study.search.trials:,} combinations, "
        f"{study.settings.windows} windows, {study.settings.surrogates} surrogates of each kind, seed "
        f"{study.settings.seed}, {study.seconds:.1f} s."
    )
    return "\n".join((*(f"- {note}" for note in study.data.notes), made))


def _table(rows: Rows) -> str:
    """Return ``rows`` with their first column to the left and the others to the right."""
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            (row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)))
        ).rstrip()
        for row in rows
    )
