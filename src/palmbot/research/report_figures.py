"""The figures of a run: benchmark, months, rolling Sharpe ratio, distribution, costs, and what chance has in store."""

from __future__ import annotations

from html import escape

import numpy as np

from palmbot.core.types import Float64Array, Int64Array
from palmbot.research.drawing import Plot
from palmbot.research.evidence import Fan
from palmbot.research.fan import fan
from palmbot.research.report_tables import COST_WORDS
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary, daily_returns, observations_a_year, r_multiple
from palmbot.research.wording import money_text, number_text, percent_text

ROLLING_DAYS = 126  # half a year of trading days
BINS = 30
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def run_figures(result: RunResult, data: DataSet, summary: Summary, seed: int = 1) -> str:
    """Return every figure that the run has numbers for, each in a panel of its own."""
    r = np.array([r_multiple(trade) for trade in result.trades], np.float64)
    panels = [
        _panel("benchmark", "Against holding the price", *_benchmark(result, data)),
        _panel("rolling", "Rolling Sharpe ratio", *_rolling_sharpe(result, data)),
        _panel("distribution", "Results of trades", *_distribution(r[np.isfinite(r)])),
        _panel("waterfall", "From gross to net", *_waterfall(summary)),
        _panel("fan", "What chance has in store", *fan_figure(fan(r, result.params.risk_fraction, seed))),
        _panel("months", "Months", *_months(result)),
    ]
    return f'<div class="figures">{"".join(panels)}</div>'


def _panel(key: str, title: str, figure: str, about: str) -> str:
    if not figure:
        return ""
    return (
        f'<section class="panel figure" id="{key}"><h2>{escape(title)}</h2>{figure}'
        f'<p class="muted">{escape(about)}</p></section>'
    )


def _years(ts_ms: Int64Array) -> tuple[list[float], list[str]]:
    """Return the starts of at most eight years that lie in the span, in ms, and their names."""
    first, last = (int(str(np.datetime64(int(each), "ms"))[:4]) for each in (ts_ms[0], ts_ms[-1]))
    starts = {year: int(np.datetime64(f"{year}-01-01", "ms").astype(np.int64)) for year in range(first, last + 1)}
    inside = [(float(at), str(year)) for year, at in starts.items() if ts_ms[0] <= at <= ts_ms[-1]]
    kept = inside[:: max(1, -(-len(inside) // 8))]
    if not kept:
        ends = (float(ts_ms[0] + (ts_ms[-1] - ts_ms[0]) * 0.08), float(ts_ms[-1] - (ts_ms[-1] - ts_ms[0]) * 0.08))
        return list(ends), [str(np.datetime64(int(each), "ms"))[:10] for each in (ts_ms[0], ts_ms[-1])]
    return [at for at, _ in kept], [name for _, name in kept]


def _benchmark(result: RunResult, data: DataSet) -> tuple[str, str]:
    if len(result.equity_minor) < 2:
        return "", ""
    ts_ms = result.equity_ts_ms
    place = np.clip(np.searchsorted(data.bars.end_ms, ts_ms), 0, len(data.bars.close_px) - 1)
    own = 100.0 * (result.equity_minor / result.start_balance_minor - 1.0)
    held = 100.0 * (data.bars.close_px[place] / data.bars.open_px[place[0]] - 1.0)
    low, high = float(min(own.min(), held.min(), 0.0)), float(max(own.max(), held.max(), 0.0))
    plot = Plot((float(ts_ms[0]), float(ts_ms[-1])), (low, high)).y_axis(lambda value: f"{value:g} %")
    plot.level(0.0).x_labels(*_years(ts_ms))
    plot.line(ts_ms.astype(np.float64), held, "benchmark").line(ts_ms.astype(np.float64), own, "curve")
    about = (
        f"Solid: equity, {number_text(float(own[-1]), 1, '%')}. Dotted: the price, unlevered and without costs, "
        f"{number_text(float(held[-1]), 1, '%')}. The bot risks a small share of the account, so compare the shapes."
    )
    return plot.svg(f"Equity and price in percent. {about}"), about


def _rolling_sharpe(result: RunResult, data: DataSet) -> tuple[str, str]:
    returns = daily_returns(result, data.spec.core.day_start_ms)
    if len(returns) < 2 * ROLLING_DAYS:
        return "", ""
    sums, squares = (np.concatenate(([0.0], np.cumsum(each))) for each in (returns, returns**2))
    mean = (sums[ROLLING_DAYS:] - sums[:-ROLLING_DAYS]) / ROLLING_DAYS
    variance = (squares[ROLLING_DAYS:] - squares[:-ROLLING_DAYS]) / ROLLING_DAYS - mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / np.sqrt(np.where(variance > 1e-18, variance, np.nan))
    ratio *= np.sqrt(observations_a_year(data.period_ms))
    if np.isnan(ratio).all():
        return "", ""
    days = np.arange(len(ratio), dtype=np.float64)
    bounds = (min(float(np.nanmin(ratio)), 0.0), max(float(np.nanmax(ratio)), 0.0))
    plot = Plot((0.0, float(len(ratio) - 1)), bounds).y_axis(lambda value: f"{value:g}").level(0.0)
    span_ms = result.equity_ts_ms
    first = int(span_ms[0] + (span_ms[-1] - span_ms[0]) * ROLLING_DAYS / len(returns))
    at, names = _years(np.array([first, int(span_ms[-1])], np.int64))
    scale = (len(ratio) - 1) / max(float(span_ms[-1] - first), 1.0)
    plot.x_labels([(each - first) * scale for each in at], names).line(days, ratio, "curve")
    about = (
        f"Of the {ROLLING_DAYS} trading days before, as a year's. In gaps nothing moved. Look for one lucky stretch."
    )
    return plot.svg(f"Rolling Sharpe ratio. {about}"), about


def _distribution(r: Float64Array) -> tuple[str, str]:
    if len(r) < 2:
        return "", ""
    low, high = np.quantile(r, (0.005, 0.995))
    edges = np.linspace(min(low, -1.0), max(high, 1.0), BINS + 1)
    counts, _ = np.histogram(np.clip(r, edges[0], edges[-1]), edges)
    plot = Plot((float(edges[0]), float(edges[-1])), (0.0, float(counts.max()))).y_axis(lambda value: f"{value:g}", 4)
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kind = "gain" if left + right > 0 else "loss"
        plot.bar((left, right), (0.0, count), kind, f"{count} trades of {left:.2f} to {right:.2f} R")
    plot.upright(float(r.mean()), "mark", f"mean {r.mean():.3f} R")
    labels = np.linspace(edges[0], edges[-1], 5)[1:-1]
    plot.x_labels(labels.tolist(), [f"{each:.1f} R" for each in labels])
    about = (
        f"In R, net. The line is the mean, {number_text(float(r.mean()), 3, 'R')}; the ends hold what lies beyond them."
    )
    return plot.svg(f"Distribution of results. {about}"), about


def _waterfall(summary: Summary) -> tuple[str, str]:
    charges = [(words, getattr(summary.costs, name)) for name, words in COST_WORDS.items()]
    gross = sum(trade.pnl_minor for trade in summary.closed) - sum(charge for _, charge in charges)
    if not summary.closed:
        return "", ""
    steps = [("Gross", 0, gross)]
    level = gross
    for words, charge in charges:
        if charge != 0:
            steps.append((words, level, level + charge))
            level += charge
    steps.append(("Net", 0, level))
    ends = [float(each) for _, first, last in steps for each in (first, last)]
    one = 10.0**summary.money_digits
    plot = Plot((0.0, float(len(steps))), (min(ends), max(ends))).y_axis(lambda value: f"{value / one:,.0f}").level(0.0)
    for place, (words, first, last) in enumerate(steps):
        is_total = words in {"Gross", "Net"}
        kind = "total" if is_total else "gain" if last > first else "loss"
        change = last if is_total else last - first
        title = f"{words}: {money_text(change, summary.money_digits)}"
        plot.bar((place + 0.15, place + 0.85), (float(first), float(last)), kind, title)
    plot.x_labels([place + 0.5 for place in range(len(steps))], [words.split(" ")[0] for words, _, _ in steps])
    paid = money_text(sum(charge for _, charge in charges), summary.money_digits)
    about = f"Closed trades. Costs come to {paid}, of a gross result of {money_text(gross, summary.money_digits)}."
    return plot.svg(f"From gross to net result. {about}"), about


def fan_figure(found: Fan | None) -> tuple[str, str]:
    """Return the fan of equity and what it says; empty where the trades are too few."""
    if found is None:
        return "", ""
    trades = np.arange(found.equity.shape[1], dtype=np.float64)
    lowest, middle, highest = found.equity[0], found.equity[len(found.levels) // 2], found.equity[-1]
    percent = [100.0 * (each - 1.0) for each in (lowest, middle, highest)]
    bounds = (min(0.0, float(percent[0].min())), max(0.0, float(percent[2].max())))
    plot = Plot((0.0, float(len(trades) - 1)), bounds).y_axis(lambda value: f"{value:g} %").level(0.0)
    plot.area(trades, percent[0], percent[2], "fan").line(trades, percent[1], "curve")
    plot.x_labels([float(len(trades) - 1) * 0.94], [f"{len(trades):,} trades"])
    own, at_one = found.drawdown_pct[-1], found.drawdown_at_1pct_pct[-1]
    about = (
        f"The same trades drawn again and again in blocks: 5-95 % and the middle. One path in twenty falls by "
        f"{number_text(own, 1, '%')} or more at {percent_text(found.risk_fraction)} risk a trade, by "
        f"{number_text(at_one, 1, '%')} at 1 %."
    )
    return plot.svg(f"Monte Carlo fan of equity. {about}"), about


def _months(result: RunResult) -> tuple[str, str]:
    """Return the table of monthly results in percent of the equity at each month's start."""
    ts_ms = result.equity_ts_ms
    if len(ts_ms) < 2:
        return "", ""
    months = ts_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(months)), len(months) - 1)
    ends = result.equity_minor[last].astype(np.float64)
    before = np.concatenate(([float(result.start_balance_minor)], ends[:-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(before > 0, 100.0 * (ends / before - 1.0), np.nan)
    by_year: dict[int, dict[int, float]] = {}
    for month, value in zip(months[last].tolist(), change.tolist(), strict=True):
        by_year.setdefault(1970 + month // 12, {})[month % 12] = value
    largest = max(float(np.nanmax(np.abs(change))), 1e-9)
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in (*MONTHS, "Year"))
    decimals = 2 if largest < 10 else 1
    rows = "".join(_year_row(year, values, largest, decimals) for year, values in by_year.items())
    table = (
        '<div class="wide" tabindex="0" role="region" aria-label="Monthly results"><table class="months">'
        f'<thead><tr><th scope="col">Year</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return table, "Change of equity in percent, open positions counted."


def _year_row(year: int, values: dict[int, float], largest: float, decimals: int) -> str:
    cells = []
    for month in range(12):
        value = values.get(month)
        if value is None or np.isnan(value):
            cells.append('<td class="n"></td>')
            continue
        depth = min(4, int(5 * abs(value) / largest))
        tone = f"{'up' if value > 0 else 'down'}{depth}" if round(value, decimals) else "muted"
        cells.append(f'<td class="n {tone}">{number_text(value, decimals)}</td>')
    total = 100.0 * (float(np.prod([1.0 + each / 100.0 for each in values.values()])) - 1.0)
    return f'<tr><th scope="row">{year}</th>{"".join(cells)}<td class="n">{number_text(total, decimals)}</td></tr>'
