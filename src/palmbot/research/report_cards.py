"""The report's cards: one key number each, with its band and the count it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

from palmbot.research.bootstrap import Band
from palmbot.research.statistics import Summary
from palmbot.research.wording import DASH, NO_BREAK, money_text, number_text, percent_text

WIDTH = 240  # of a band's drawing


def cards(summary: Summary, currency: str) -> str:
    """Return the key numbers as HTML; win rate, profit factor and expectancy never without band and count of trades."""
    digits = summary.money_digits
    count = f"{summary.trades:,} trade{'' if summary.trades == 1 else 's'}"
    tone = "up" if summary.net_minor > 0 else "down" if summary.net_minor < 0 else ""
    net = f'<span class="{tone}">{money_text(summary.net_minor, digits)}</span> <small>{escape(currency)}</small>'
    each = DASH if summary.expectancy_minor is None else money_text(summary.expectancy_minor, digits)
    start = money_text(summary.start_balance_minor, digits)
    at_one = f"{number_text(summary.max_drawdown_at_1pct_risk_pct, 1, '%')} at 1{NO_BREAK}%"
    worst = number_text(summary.stop_loss_ratio_worst)
    planned = number_text(summary.stop_loss_ratio_mean)
    sortino = number_text(summary.sortino)
    factor_band = _band(summary.profit_factor_band, number_text, _place_of_factor, 1.0)
    rate_band = _band(summary.win_rate_band, percent_text, float, summary.win_rate_geometry)
    r_band = _band(summary.expectancy_r_band, lambda r: number_text(r, 2, "R"), lambda r: (r + 1) / 2, 0.0)
    sharpe_band = _band(summary.sharpe_band, number_text, lambda ratio: (ratio + 3) / 6, 0.0)
    rows = (
        ("net", "Net result", net, f"{number_text(summary.return_pct, 2, '%')} of {start}", ""),
        ("drawdown", "Max drawdown", number_text(summary.max_drawdown_pct, 1, "%"), f"{at_one} risk a trade", ""),
        ("exposure", "Exposure", percent_text(summary.exposure), "of bars with a position", ""),
        ("stops", "Loss at the stop / planned", planned, f"{worst} at worst, {summary.stops:,} stops", ""),
        ("profit_factor", "Profit factor", number_text(summary.profit_factor), count, factor_band),
        ("win_rate", "Win rate", percent_text(summary.win_rate), f"{summary.wins:,} of {count}", rate_band),
        ("expectancy", "Expectancy", number_text(summary.expectancy_r, 3, "R"), f"{each} a trade, {count}", r_band),
        (
            "sharpe",
            "Sharpe ratio",
            number_text(summary.sharpe),
            f"Sortino {sortino}, {summary.days:,} days",
            sharpe_band,
        ),
    )
    return "".join(
        f'<article class="card" id="card-{key}"><h3>{name}</h3><p class="value">{value}</p>'
        f'<p class="muted">{note}</p>{band}</article>'
        for key, name, value, note, band in rows
    )


def _band(
    band: Band | None,
    words: Callable[[float | None], str],
    place: Callable[[float], float],
    mark: float | None,
) -> str:
    """Return a band in words and drawn.

    Args:
        words: how a value reads.
        place: where a value lies on the drawing, 0..1.
        mark: the value of the reference line, if there is one.
    """
    if band is None:
        return '<p class="band muted">no band</p>'

    def x(value: float) -> float:
        return WIDTH * min(max(place(value), 0.0), 1.0)

    left, right = x(band.lo), float(WIDTH) if band.hi is None else x(band.hi)
    hi = "no upper end" if band.hi is None else words(band.hi)
    tick = "" if mark is None else f'<line class="reference" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="1" y2="15"/>'
    return (
        f'<p class="band">5{DASH}95{NO_BREAK}%: {words(band.lo)} to {hi}</p>'
        f'<svg viewBox="0 0 {WIDTH} 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="track" x1="0" x2="{WIDTH}" y1="8" y2="8"/>'
        f'<rect class="span" x="{left:.1f}" y="4" width="{max(right - left, 2.0):.1f}" height="8" rx="2"/>{tick}</svg>'
    )


def _place_of_factor(factor: float) -> float:
    """Return a profit factor's place on a logarithmic scale from 1/4 to 4."""
    return (math.log2(max(factor, 1e-9)) + 2) / 4
