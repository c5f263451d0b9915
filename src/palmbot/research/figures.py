"""The figures of an analysis. Each function returns one matplotlib figure; nothing here is computed, only drawn.

Colours are those of the reports; what a colour says is also said by place, sign or text.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.advice import FIELD_WORDS, p_text
from palmbot.research.aftermath import AHEAD_BARS, Level
from palmbot.research.analysis import Analysis
from palmbot.research.bootstrap import Band
from palmbot.research.breakdown import Breakdown
from palmbot.research.statistics import drawdown_curve_pct
from palmbot.research.thresholds import CELL_TRADES_MIN, NoMap, Part, Thresholds
from palmbot.research.wording import number_text, reason_words

SIZE_IN = (11.0, 6.2)
INK, PALE, LONG, SHORT, GAIN, LOSS = "#1f2430", "#8a93a3", "#1f6feb", "#c2410c", "#1a7f37", "#b42318"
POINTS_MAX = 8_000  # of a line: more than there are dots across a page
FACTOR_MAX = 2.0  # of the colours of a map; what is above looks like it


def drawn(analysis: Analysis) -> dict[str, Figure]:
    """Return every figure that ``analysis`` has numbers for, by file name, in the order of the report."""
    figures: dict[str, Callable[[Analysis], Figure | None]] = {
        "equity": equity,
        "thresholds": maps,
        "after-rsi": after_rsi,
        "scatter": scatter,
        "breakdowns": breakdowns,
        "excursions": excursions,
        "refusals": refusals,
    }
    made = {name: draw(analysis) for name, draw in figures.items()}
    return {name: _laid_out(figure) for name, figure in made.items() if figure is not None}


def _laid_out(figure: Figure) -> Figure:
    """Lay ``figure`` out once, not again for each file that it is drawn into."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    return figure


def _figure(title: str, analysis: Analysis) -> Figure:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    synthetic = "SYNTHETIC, " if analysis.data.synthetic else ""
    figure.suptitle(f"{title}  ({synthetic}{analysis.data.name}, {analysis.result.profile})", color=INK, fontsize=12)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)


def equity(analysis: Analysis) -> Figure:
    """Equity at the close of each bar, and how far its lowest mark lay below the highest equity before."""
    figure = _figure("Equity and drawdown", analysis)
    result = analysis.result
    money, falls = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    days = result.equity_ts_ms.astype("datetime64[ms]")
    one = 10**analysis.summary.money_digits
    at = _telling(result.equity_minor)
    money.plot(days[at], result.equity_minor[at] / one, color=LONG, linewidth=1)
    money.axhline(result.start_balance_minor / one, color=PALE, linewidth=0.8, linestyle="--")
    money.set_ylabel(f"equity, {analysis.data.spec.deposit_currency}", fontsize=9)
    money.yaxis.set_major_formatter("{x:,.0f}")
    curve = drawdown_curve_pct(result.start_balance_minor, result.equity_minor, result.equity_low_minor)
    at = _telling(curve)
    falls.fill_between(days[at], -curve[at], 0.0, color=LOSS, alpha=0.5, linewidth=0)
    falls.set_ylabel("drawdown, %", fontsize=9)
    for axes in (money, falls):
        _plain(axes)
    return figure


def _telling(line: Float64Array | Int64Array) -> Int64Array:
    """Return which points of a long line are enough to draw it: the lowest and the highest of every few."""
    size = -(-len(line) // (POINTS_MAX // 2)) if len(line) > POINTS_MAX else 1
    whole = len(line) // size * size
    few, start = line[:whole].reshape(-1, size), np.arange(0, whole, size)
    return np.unique(
        np.concatenate((start + few.argmin(axis=1), start + few.argmax(axis=1), np.arange(whole, len(line))))
    )


def maps(analysis: Analysis) -> Figure | None:
    """Profit factor by thresholds, in sample and out of sample side by side, with the trades behind each cell."""
    found = analysis.thresholds
    if isinstance(found, NoMap):
        return None
    figure = _figure("Profit factor by RSI thresholds; small: trades", analysis)
    pair = figure.subplots(1, 2)
    norm = TwoSlopeNorm(1.0, 0.0, FACTOR_MAX)
    for axes, part, name in zip(pair, (found.in_sample, found.out_of_sample), ("in", "out of"), strict=True):
        image = axes.imshow(_shown(part), cmap="RdYlGn", norm=norm, aspect="auto", origin="lower")
        axes.set_title(f"{name} sample, {_day(part.from_ms)} to {_day(part.to_ms)}", fontsize=9, color=INK)
        _cells(axes, part)
        _ticks(axes, found)
        if found.best is not None:
            place = (found.best[1] - 0.5, found.best[0] - 0.5)
            axes.add_patch(_frame(place))
    figure.colorbar(image, ax=pair, shrink=0.8, extend="max", label="profit factor (1: won as much as lost)")
    like = "none" if found.likeness is None or found.p is None else f"{found.likeness:.2f}, {p_text(found.p)}"
    figure.supxlabel(
        f"Framed: the best in sample. Grey: under {CELL_TRADES_MIN} trades. Rank correlation of both maps: {like}.",
        fontsize=9,
    )
    return figure


def _shown(part: Part) -> Float64Array:
    shown: Float64Array = np.where(part.trades >= CELL_TRADES_MIN, part.profit_factor, np.nan)
    return np.where(np.isinf(shown), FACTOR_MAX, shown)


def _cells(axes: Axes, part: Part) -> None:
    axes.set_facecolor("#e4e7ec")
    for (row, column), trades in np.ndenumerate(part.trades):
        factor = part.profit_factor[row, column]
        text = f"{factor:.2f}\n" if trades >= CELL_TRADES_MIN and np.isfinite(factor) else ""
        size = 5.5 if part.trades.shape[1] > 10 else 7
        ink = "white" if text and abs(float(np.minimum(factor, FACTOR_MAX)) - 1.0) > 0.65 else INK
        axes.text(column, row, f"{text}{trades}", ha="center", va="center", fontsize=size, color=ink, in_layout=False)


def _ticks(axes: Axes, found: Thresholds) -> None:
    for set_ticks, set_label, (name, values) in (
        (axes.set_yticks, axes.set_ylabel, found.down),
        (axes.set_xticks, axes.set_xlabel, found.across),
    ):
        set_ticks(range(len(values)), [f"{value:g}" for value in values], fontsize=7)
        set_label(FIELD_WORDS[name], fontsize=9)


def _frame(place: tuple[float, float]) -> object:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - of this one figure

    return Rectangle(place, 1, 1, fill=False, edgecolor=INK, linewidth=2)


def _day(ts_ms: int) -> str:
    return str(np.datetime64(ts_ms, "ms"))[:10]


def after_rsi(analysis: Analysis) -> Figure:
    """What the price did after each level of RSI, beyond its drift, with bands."""
    figure = _figure("What followed each level of RSI, beyond the drift", analysis)
    for axes, ahead in zip(figure.subplots(1, len(AHEAD_BARS)), AHEAD_BARS, strict=True):
        levels = [each for each in analysis.levels if each.ahead == ahead]
        _bars(axes, [_level_name(each) for each in levels], [each.mean_pct for each in levels],
              [each.band for each in levels], [each.bars for each in levels])  # fmt: skip
        p = next((f"; of the direction: {p_text(each.p)}" for each in analysis.directions if each.ahead == ahead), "")
        axes.set_title(f"{ahead} bar{'s' if ahead > 1 else ''} on{p}", fontsize=9, color=INK)
        axes.set_ylabel("move beyond the drift, %" if ahead == AHEAD_BARS[0] else "", fontsize=9)
        axes.set_xlabel("RSI at the close", fontsize=9)
    figure.supxlabel(
        f"Lines: 5-95 % of each bar alone. Small: bars. No costs. More than chance: {_level(analysis)}.", fontsize=9
    )
    return figure


def _level_name(level: Level) -> str:
    return f"{level.low}-{level.high}"


def _bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float | None],
    bands: Sequence[Band | None],
    counts: Sequence[int],
) -> None:
    """Draw values with their bands and counts; what is unknown stays empty."""
    _plain(axes)
    heights = [0.0 if each is None else each for each in values]
    colours = [GAIN if each > 0 else LOSS for each in heights]
    axes.bar(range(len(names)), heights, color=colours, alpha=0.75)
    for place, band in enumerate(bands):
        if band is not None and band.hi is not None:
            axes.plot((place, place), (band.lo, band.hi), color=INK, linewidth=1)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    is_long = len(names) > 4 and max(map(len, names)) > 2
    size = 7 if len(names) <= 12 else 5.5
    axes.set_xticks(range(len(names)), names, fontsize=size, rotation=45 if is_long else 0)
    axes.set_xlim(-0.7, max(len(names), 3) - 0.3)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.12 * (high - low), high)
    for place, count in enumerate(counts):
        axes.text(
            place, 0.01, str(count), transform=axes.get_xaxis_transform(), ha="center", fontsize=size - 0.5, color=INK
        )


def scatter(analysis: Analysis) -> Figure | None:
    """RSI and sentiment at the entry against the result of each trade."""
    rows = analysis.moments
    if len(rows) == 0:
        return None
    moods = rows["sentiment"][np.isfinite(rows["sentiment"])]
    names = ["rsi"] + (["sentiment"] if moods.size and np.ptp(moods) > 0 else [])
    figure = _figure("What a trade knew, and what it came to", analysis)
    grid = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(grid, names, strict=True):
        for side, colour, marker, word in ((1, LONG, "^", "long"), (-1, SHORT, "v", "short")):
            of_side = rows[rows["side"] == side]
            axes.scatter(
                of_side[name], of_side["r"], s=14, c=colour, marker=marker, alpha=0.55, label=word, linewidths=0
            )
        axes.axhline(0.0, color=INK, linewidth=0.8)
        axes.set_xlabel(f"{'RSI' if name == 'rsi' else name} when decided", fontsize=9)
        axes.set_ylabel("result, R", fontsize=9)
        axes.legend(fontsize=8, frameon=False)
        _plain(axes)
    words = [
        f"{each.kind} of {each.cause}: {number_text(each.value)}"
        for each in analysis.associations
        if each.value is not None
    ]
    lines = textwrap.wrap("   ".join(each.replace(" ", "\u00a0") for each in words), 150)  # other markets make it long
    figure.supxlabel("\n".join(lines), fontsize=9 if len(lines) == 1 else 7)
    return figure


def breakdowns(analysis: Analysis) -> Figure | None:
    """Mean result by hour, weekday, session, volatility and time held, with bands."""
    if not analysis.breakdowns:
        return None
    figure = _figure("Mean result of a trade, R", analysis)
    panels = figure.subplots(2, 3).ravel()
    for axes, part in zip(panels, analysis.breakdowns, strict=False):
        _breakdown(axes, part)
    for axes in panels[len(analysis.breakdowns) :]:
        axes.set_axis_off()
    judged = [group.p for part in analysis.breakdowns for group in part.groups if group.p is not None]
    best = f" The clearest of {len(judged)} groups: {p_text(min(judged))}." if judged else ""
    figure.supxlabel(
        f"Lines: 5-95 % of each bar alone. Small: trades.{best} More than chance: {_level(analysis)}.", fontsize=9
    )
    return figure


def _level(analysis: Analysis) -> str:
    return f"p of {number_text(analysis.looks.level, 3)} or less"


def _breakdown(axes: Axes, part: Breakdown) -> None:
    groups = part.groups
    short = [each.label.removesuffix(":00") if part.name == "hour of entry" else each.label for each in groups]
    _bars(axes, short, [each.mean_r for each in groups],
          [each.mean_r_band for each in groups], [each.trades for each in groups])  # fmt: skip
    axes.set_title(part.name, fontsize=9, color=INK)


def excursions(analysis: Analysis) -> Figure | None:
    """How far each trade went against its entry and for it, winners and losers."""
    rows = analysis.moments[np.isfinite(analysis.moments["mae_r"])]
    if len(rows) == 0:
        return None
    figure = _figure("How far trades went against their entry and for it", analysis)
    against, ahead = figure.subplots(1, 2)
    for axes, name, label in ((against, "mae_r", "worst, R under water"), (ahead, "mfe_r", "best, R ahead")):
        for word, colour, marker, of_kind in (
            ("won", GAIN, "^", rows[rows["pnl_minor"] > 0]),
            ("lost", LOSS, "v", rows[rows["pnl_minor"] <= 0]),
        ):
            axes.scatter(
                of_kind[name], of_kind["r"], s=14, c=colour, marker=marker, alpha=0.55, label=word, linewidths=0
            )
        axes.axhline(0.0, color=INK, linewidth=0.8)
        axes.set_xlabel(label, fontsize=9)
        axes.set_ylabel("result, R", fontsize=9)
        axes.legend(fontsize=8, frameon=False)
        _plain(axes)
    return figure


def refusals(analysis: Analysis) -> Figure | None:
    """What the refused trades would have come to, by reason."""
    told = [each for each in analysis.refused if each.mean_r is not None]
    if not told:
        return None
    figure = _figure("What refused signals would have come to, mean R", analysis)
    axes = figure.subplots()
    names = [f"{reason_words(each.reason.name)}{'' if each.p is None else f', {p_text(each.p)}'}" for each in told]
    _bars(
        axes,
        names,
        [each.mean_r for each in told],
        [each.mean_r_band for each in told],
        [each.shadows for each in told],
    )
    axes.set_ylabel("mean result, R", fontsize=9)
    figure.supxlabel(
        "Below zero, refusing saved that. Lines: 5-95 % of each bar alone. Small: refused trades that were played "
        f"out. More than chance: {_level(analysis)}.",
        fontsize=9,
    )
    return figure
