"""The summary of a run as plain text for a terminal: never a rate without its band and its count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from palmbot.research.bootstrap import Band
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Counts, Summary
from palmbot.research.wording import caveats, day_text, headline, money_text, number_text, percent_text, reason_words

DAYS_MIN = 20  # below, a year's ratio of daily returns flatters or damns by chance alone


def terminal(summary: Summary, result: RunResult, data: DataSet, folder: Path | None) -> str:
    """Return the text that ends ``backtest`` and ``run``; ``folder`` is where files were written, if any."""
    digits, currency = data.spec.core.money_digits, data.spec.deposit_currency
    costs = {name.removesuffix("_minor"): minor for name, minor in asdict(result.costs).items()}
    rows = [
        ("data", _facts(result, data)),
        ("trades", f"{summary.trades} ({summary.wins} won, {summary.losses} lost)"),
        ("win rate", _banded(percent_text(summary.win_rate), summary.win_rate_band, percent_text)),
        ("profit factor", _banded(number_text(summary.profit_factor), summary.profit_factor_band, number_text)),
        ("expectancy", f"{number_text(summary.expectancy_r, 3, 'R')} a trade"),
        ("max drawdown", _drawdowns(summary)),
        ("Sharpe, Sortino", _ratios(summary)),
        ("exposure", percent_text(summary.exposure)),
        ("balance", f"{money_text(summary.balance_minor, digits)} {currency}"),
        ("equity", f"{money_text(summary.equity_minor, digits)} {currency}"),
        ("costs", ", ".join(f"{kind} {money_text(minor, digits)}" for kind, minor in costs.items())),
        ("exits", _counted(summary.exits)),
        ("refusals", _counted(summary.refusals)),
        ("breakers", _counted(summary.breakers)),
    ]
    width = max(len(name) for name, _ in rows)
    label = "SYNTHETIC market\n" if data.synthetic else ""
    lines = [f"{label}{headline(summary)}", "", *(f"{name:<{width}}  {text}" for name, text in rows if text)]
    lines += ["", *(f"- {each}" for each in (*data.notes, *caveats(summary, result, replace(data, notes=()))))]
    if folder is not None:
        lines.append(f"Kept in {folder}")
    return "\n".join(lines)


def _facts(result: RunResult, data: DataSet) -> str:
    if len(result.equity_ts_ms) == 0:
        return f"{data.name}, no bar closed"
    first, last = int(result.equity_ts_ms[0]), int(result.equity_ts_ms[-1])
    return f"{data.name}, {len(result.equity_ts_ms)} bars, {day_text(first)} to {day_text(last)}"


def _ratios(summary: Summary) -> str:
    if summary.days < DAYS_MIN:
        return f"not said of {summary.days} days"
    return f"{number_text(summary.sharpe)}, {number_text(summary.sortino)} a year"


def _drawdowns(summary: Summary) -> str:
    own = number_text(summary.max_drawdown_pct, 2, "%")
    at_one = number_text(summary.max_drawdown_at_1pct_risk_pct, 2, "%")
    return f"{own} own, {at_one} at 1 % risk a trade"


def _banded(text: str, band: Band | None, show: Callable[[float | None], str]) -> str:
    if band is None:
        return f"{text} (too few trades for a band)"
    low, high = band
    return f"{text} (5-95 %: {show(low)} to {show(high) if high is not None else 'no upper end'})"


def _counted(counts: Counts) -> str:
    return ", ".join(f"{count} {reason_words(name)}" for name, count in counts)
