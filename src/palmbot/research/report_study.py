"""The page of a search and of a walk-forward: the verdict and all that led to it, above the winner's own run."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params
from palmbot.research.advice import FIELD_WORDS, cell_words
from palmbot.research.drawing import Plot
from palmbot.research.evidence import Surrogates, WalkForward
from palmbot.research.report import Above, read_chart_script, write_report
from palmbot.research.search import profit_factor_of
from palmbot.research.statistics import summarize
from palmbot.research.study import Study
from palmbot.research.study_text import (
    Rows,
    cost_rows,
    doubt_lines,
    factor_text,
    halt_lines,
    luck_rows,
    numbers_rows,
    target_rows,
)
from palmbot.research.thresholds import CELL_TRADES_MIN, NoMap, Part, Thresholds, thresholds
from palmbot.research.verdict import decisive
from palmbot.research.wording import day_text, number_text, value_words

FACTOR_TOP = 3.0  # of the bars of a walk-forward: what is above is drawn as high
COLOURS = (0.6, 0.8, 0.95, 1.05, 1.25, 1.6)  # profit factors at which the colour of a cell changes
BINS = 24


def write_study_report(study: Study, kind: str, path: Path) -> bool:
    """Write the report of ``study`` to ``path``; return whether there is one: without a winner there is no run to show.

    Raises:
        UsageError: the file cannot be written.
    """
    params = study.search.best_params
    if study.run is None or params is None:
        return False
    summary = summarize(study.run, study.data, study.settings.seed)
    above = Above(kind, study_html(study, params), chosen=True)
    write_report(study.run, study.data, summary, path, read_chart_script(), above)
    return True


def study_html(study: Study, params: Params) -> str:
    """Return the sections of ``study``, the verdict first."""
    settings, evidence = study.settings, study.evidence
    maps = thresholds(study.data, (params, settings.balance_minor), settings.seed, settings.threads)
    walks = [each for each in (evidence.rolling, evidence.anchored) if each is not None]
    panels = [
        _panel("luck", "Is it luck?", _table(luck_rows(evidence))),
        _panel("stress", "If trading costs more", _table(cost_rows(evidence))),
        *(_panel(f"walk-{each.kind}", f"Walk-forward, {each.kind}", _walk(each), _walk_words(each)) for each in walks),
        *(
            _panel(f"null-{each.kind}", f"The same search on {each.kind} prices", *_null(each, study))
            for each in (evidence.shuffled, evidence.sign_flipped)
            if each is not None
        ),
        "" if isinstance(maps, NoMap) else _panel("maps", "Profit factor by RSI thresholds", *_maps(maps)),
    ]
    return f'{_verdict(study)}<div class="figures">{"".join(panels)}</div>'


def _verdict(study: Study) -> str:
    word = study.verdict.word
    reasons = "".join(f"<p>{escape(each)}</p>" for each in study.verdict.reasons)
    worse = decisive(study.evidence)
    numbers = _table(numbers_rows(study, study.in_sample, worse)) if study.in_sample is not None else ""
    doubts = "".join(f"<li>{escape(each)}</li>" for each in (*doubt_lines(study.evidence), *halt_lines(study, worse)))
    best = f'<p class="muted">{escape(_best(study))}</p>'
    return (
        f'<section class="verdict" id="word" aria-labelledby="word-title"><h2 id="word-title">Verdict</h2>'
        f'<p class="word {word}">{word}</p>{reasons}{best}<ul>{doubts}</ul></section>'
        f'<div class="tables"><div>{_panel("both", "In sample and out of sample", numbers)}</div>'
        f"<div>{_panel('targets', 'The plan&#x27;s targets', _table(target_rows(study.evidence)))}</div></div>"
    )


def _best(study: Study) -> str:
    table, best = study.search.table, study.search.best or 0
    varied = [name for name in table.dtype.names or () if np.unique(table[name]).size > 1]
    words = ", ".join(f"{name} {value_words(name, table[name][best].item())}" for name in varied)
    return f"The best of {study.search.trials:,} combinations of {study.settings.profile}: {words or 'the only one'}."


def _panel(key: str, title: str, body: str, about: str = "") -> str:
    """Return a panel; ``title`` is HTML already."""
    if not body:
        return ""
    note = f'<p class="muted">{escape(about)}</p>' if about else ""
    return f'<section class="panel figure" id="{key}"><h2>{title}</h2>{body}{note}</section>'


def _table(rows: Rows) -> str:
    """Return text rows as a table; the first one heads it."""
    if not rows:
        return ""
    head, *body = rows
    cells = "".join(f'<th scope="col" class="n">{escape(each)}</th>' for each in head[1:])
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0].strip())}</th>'
        + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in body
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr><th scope="col">{escape(head[0])}</th>{cells}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _walk(walked: WalkForward) -> str:
    """Return trained and tested profit factors, window by window, as bars around 1."""
    windows = walked.windows
    plot = Plot((0.0, float(len(windows))), (0.0, FACTOR_TOP)).y_axis(lambda value: f"{value:g}", 3).level(1.0)
    for place, window in enumerate(windows):
        span = f"{day_text(window.test_from_ms)} to {day_text(window.test_to_ms)}"
        if window.train is not None:
            trained = _height(window.train.profit_factor, window.train.trades)
            title = f"{span}: trained {factor_text(window.train)}, {window.train.trades} trades"
            plot.bar((place + 0.1, place + 0.48), (0.0, trained), "other", title)
        tested = _height(window.test.profit_factor, window.test.trades)
        title = f"{span}: tested {factor_text(window.test)}, {window.test.trades} trades"
        plot.bar((place + 0.52, place + 0.9), (0.0, tested), "gain" if tested > 1.0 else "loss", title)
    plot.x_labels([place + 0.5 for place in range(len(windows))], [day_text(each.test_from_ms)[:7] for each in windows])
    return plot.svg(f"Trained and tested profit factor of each window, {walked.kind}. {_walk_words(walked)}")


def _height(factor: float | None, trades: int) -> float:
    if trades == 0:
        return 0.0
    return FACTOR_TOP if factor is None else min(factor, FACTOR_TOP)


def _walk_words(walked: WalkForward) -> str:
    band = walked.profit_factor_band
    ends = "" if band is None else f" (5-95 %: {number_text(band.lo)} to {number_text(band.hi)})"
    return (
        f"Pale: what was best in training promised. Coloured: what it kept in the bars after. Together "
        f"{walked.tally.trades:,} trades, profit factor {factor_text(walked.tally)}{ends}."
    )


def _null(found: Surrogates, study: Study) -> tuple[str, str]:
    """Return the best scores that the same search found where there is no edge, and the real one among them."""
    best = study.search.best
    scores = found.scores[np.isfinite(found.scores)]
    if best is None or scores.size == 0:
        return "", ""
    real = float(study.search.scores[best])
    low, high = min(float(scores.min()), real), max(float(scores.max()), real)
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(scores, edges)
    plot = Plot((low, high), (0.0, float(counts.max()))).y_axis(lambda value: f"{value:g}", 4)
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        plot.bar((left, right), (0.0, count), "other", f"{count} series with a best score of {left:.3f} to {right:.3f}")
    plot.upright(real, "mark", f"the real series: {real:.3f}")
    plot.x_labels(np.linspace(low, high, 5)[1:-1].tolist(), [f"{each:.2f}" for each in np.linspace(low, high, 5)[1:-1]])
    factor = float(profit_factor_of(study.search.results[best : best + 1])[0])
    middle = float(np.median(found.profit_factors[np.isfinite(found.profit_factors)]))
    about = (
        f"Best score of each of {found.count} series without any edge; the line is the real series (p {found.p:.3f}). "
        f"Its profit factor is {number_text(factor)}; the middle one of luck is {number_text(middle)}."
    )
    return plot.svg(f"Best scores by luck. {about}"), about


def _maps(found: Thresholds) -> tuple[str, str]:
    likeness = (
        "cannot be compared"
        if found.likeness is None or found.p is None
        else f"have a rank correlation of {number_text(found.likeness)} (p {number_text(found.p)} on shuffled prices)"
    )
    html = "".join(
        f'<div class="wide" tabindex="0"><table><caption>{name}<small>{day_text(part.from_ms)} to '
        f"{day_text(part.to_ms)}</small></caption>{_map(part, found)}</table></div>"
        for name, part in (
            ("Earlier part: in sample", found.in_sample),
            ("Later part: out of sample", found.out_of_sample),
        )
    )
    about = (
        f"Profit factor and, small, trades, all else as in the winner, chosen on all bars. "
        f"Framed: {cell_words(found)}, best in sample. "
        f"Grey: under {CELL_TRADES_MIN} trades. The maps {likeness}."
    )
    return f'<div class="maps">{html}</div>', about


def _map(part: Part, found: Thresholds) -> str:
    across = "".join(f'<th scope="col">{value:g}</th>' for value in found.across[1])
    corner = f"{FIELD_WORDS[found.down[0]]} \\ {FIELD_WORDS[found.across[0]]}"
    cells = [_cells(*each, row, found) for row, each in enumerate(zip(part.profit_factor, part.trades, strict=True))]
    rows = "".join(
        f'<tr><th scope="row">{value:g}</th>{cells[row]}</tr>'
        for row, value in reversed(list(enumerate(found.down[1])))
    )
    return f"<thead><tr><th>{escape(corner)}</th>{across}</tr></thead><tbody>{rows}</tbody>"


def _cells(factors: Float64Array, trades: Int64Array, row: int, found: Thresholds) -> str:
    pairs = zip(factors.tolist(), trades.tolist(), strict=True)
    return "".join(_cell(*each, found.best == (row, column)) for column, each in enumerate(pairs))


def _cell(factor: float, count: int, is_best: bool) -> str:
    frame = " best" if is_best else ""
    if count < CELL_TRADES_MIN or np.isnan(factor):
        return f'<td class="few{frame}"><small>{count}</small></td>'
    colour = sum(factor >= each for each in COLOURS)
    text = "no loss" if np.isinf(factor) else f"{factor:.2f}"
    return f'<td class="f{colour}{frame}">{text}<small>{count}</small></td>'
