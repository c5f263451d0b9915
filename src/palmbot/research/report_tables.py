"""The report's tables and lists as HTML. Every text that comes from outside passes ``html.escape``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape

import numpy as np

from palmbot.core.types import CommissionKind, CostKind, Instrument, Params, Profile, Reason, Side, StopKind
from palmbot.model import Trade
from palmbot.research.chart_data import shown_digits
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Counts, Summary, r_multiple
from palmbot.research.wording import (
    minute_text,
    money_text,
    number_text,
    price_words,
    reason_words,
    span_text,
    value_words,
    volume_text,
)
from palmbot.units import CU

ROWS_MAX = 1_000  # of the trades table; trades.csv has them all
STILL_POINTS = 600
COST_WORDS = {
    "spread_minor": "Spread",
    "slippage_minor": "Slippage",
    "commission_minor": "Commission",
    "swap_minor": "Swap and rolls",
    "fee_minor": "Conversion fee",
}
NUMBER = ' class="n"'


def trades_table(summary: Summary, data: DataSet) -> str:
    """Return the table of closed trades; ``data-trade`` of a row is the trade's place in the chart's list."""
    if not summary.closed:
        return "<p>No trade was closed.</p>"
    names = ("#", "Side", "Entry", "Price", "Exit", "Price", "Reason", "Lots", "Net", "R")
    numeric = {3, 5, 7, 8, 9}
    head = "".join(f'<th scope="col"{NUMBER if i in numeric else ""}>{name}</th>' for i, name in enumerate(names))
    prices = [px for trade in summary.closed for px in (trade.entry_px, round(trade.exit_px))]
    digits = shown_digits(np.array(prices, dtype=np.int64), data.spec.digits)
    rows = "".join(
        _trade_row(place, trade, digits, data.spec.core) for place, trade in enumerate(summary.closed[:ROWS_MAX])
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of closed trades"><table>'
        f"<caption>Closed trades, oldest first</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def trades_note(summary: Summary, currency: str) -> str:
    """Return the line beside the table's title."""
    shown = f"{summary.trades:,} closed"
    if summary.trades > ROWS_MAX:
        shown = f"The first {ROWS_MAX:,} of {summary.trades:,}; trades.csv has all"
    return f"{shown}. Net in {currency}." if summary.trades else ""


def side_tables(summary: Summary, currency: str) -> str:
    """Return the tables of exits, costs, refusals and breaker trips."""
    digits = summary.money_digits
    net: defaultdict[str, int] = defaultdict(int)
    for trade in summary.closed:
        net[Reason(trade.exit_reason).name] += trade.pnl_minor
    exits = [
        (_reason_cell(name), f"{count:,}", f"{100 * count / summary.trades:.0f} %", _signed(net[name], digits))
        for name, count in summary.exits
    ]
    costs = asdict(summary.costs)
    cost_rows = [(COST_WORDS[name], money_text(value, digits)) for name, value in costs.items()]
    cost_rows.append(("All costs", money_text(sum(costs.values()), digits)))
    about_costs = f"In {currency}, all inside the net result; spread and slippage through the fill prices."
    return (
        f"<div>{_table('exits', 'Exits', 'How closed trades ended.', ('Reason', 'Trades', 'Share', 'Net'), exits)}"
        f"{_count_table('refusals', 'Refused entries', 'Signals that became no position.', summary.refusals)}</div>"
        f"<div>{_table('costs', 'Costs', about_costs, ('Kind', 'Money'), cost_rows)}"
        f"{_count_table('breakers', 'Circuit breakers', 'How often each one tripped.', summary.breakers)}</div>"
    )


def parameter_rows(params: Params) -> list[tuple[str, str]]:
    """Return every parameter by its name in the code, its value in the code's units and in a person's."""
    words = {"profile": Profile(params.profile).name.lower(), "stop_kind": StopKind(params.stop_kind).name.lower()}
    return [(name, words.get(name) or value_words(name, value)) for name, value in params._asdict().items()]


def data_rows(data: DataSet) -> list[tuple[str, str]]:
    """Return the facts of the series and of the costs assumed on it."""
    spec, core, bars = data.spec, data.spec.core, data.bars
    commission = {
        CommissionKind.PER_LOT_DEPOSIT: f"{core.commission_rate / 1e8:g} {spec.deposit_currency} a lot and side",
        CommissionKind.PER_LOT_QUOTE: f"{core.commission_rate / 1e8:g} {spec.quote_currency} a lot and side",
        CommissionKind.PERCENT_OF_VALUE: f"{core.commission_rate / 1e5:g} % of the value a side",
    }
    return [
        ("Series", data.name),
        ("Origin", "generated (SYNTHETIC)" if data.synthetic else "file"),
        ("Symbol", spec.symbol),
        ("Bars", f"{len(bars.ts_ms):,}, {span_text(data.period_ms)}"),
        ("First bar", minute_text(int(bars.ts_ms[0]))),
        ("Last bar", minute_text(int(bars.ts_ms[-1]))),
        ("Rows read", f"{data.rows_read:,}"),
        ("Rows outside the session", f"{data.rows_outside_session:,}"),
        ("Adjustment", data.adjustment),
        ("Rolls", f"{len(data.rolls.ts_ms):,}"),
        ("Sentiment rows", f"{len(data.sentiment.known_ms):,}"),
        ("Price decimals", str(spec.digits)),
        ("Lot", f"{core.lot_cu / CU:g} {spec.unit}"),
        ("Leverage", str(core.leverage)),
        ("Spread", _cost_words(core.spread_kind, core.spread)),
        ("Slippage", _cost_words(core.slippage_kind, core.slippage)),
        ("Commission", commission[CommissionKind(core.commission_kind)]),
        ("SHA-256 of the bars", data.fingerprint[:16] + "\N{HORIZONTAL ELLIPSIS}"),
    ]


def equity_still(result: RunResult) -> str:
    """Return equity as a drawing that needs no script; the dashed line is the starting balance."""
    count = len(result.equity_minor)
    if count < 2:
        return ""
    places = np.unique(np.linspace(0, count - 1, min(count, STILL_POINTS)).astype(np.int64))
    values = np.append(result.equity_minor[places], result.start_balance_minor).astype(np.float64)
    y = 205.0 - (values - values.min()) / max(float(np.ptp(values)), 1.0) * 190.0
    x = places * (1000.0 / (count - 1))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y[:-1], strict=True))
    return (
        '<svg viewBox="0 0 1000 220" preserveAspectRatio="none" role="img" aria-label="Equity over the run">'
        f'<line x1="0" x2="1000" y1="{y[-1]:.1f}" y2="{y[-1]:.1f}"/><polyline points="{points}"/></svg>'
    )


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return ``rows`` of name and value for a description list."""
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)


def list_items(sentences: Iterable[str]) -> str:
    """Return ``sentences`` as items of a list."""
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)


def _trade_row(place: int, trade: Trade, digits: int, core: Instrument) -> str:
    cells = (
        (Side(trade.side).name.lower(), ""),
        (minute_text(trade.entry_ms), ""),
        (price_words(trade.entry_px, digits), NUMBER),
        (minute_text(trade.exit_ms), ""),
        (price_words(trade.exit_px, digits), NUMBER),
        (reason_words(Reason(trade.exit_reason).name), ""),
        (volume_text(trade.volume_cu, core.lot_cu), NUMBER),
        (_signed(trade.pnl_minor, core.money_digits), NUMBER),
        (number_text(r_multiple(trade) if trade.risk_minor > 0 else None), NUMBER),
    )
    body = "".join(f"<td{kind}>{cell}</td>" for cell, kind in cells)
    return f'<tr data-trade="{place}"><th scope="row">{place + 1}</th>{body}</tr>'


def _signed(minor: int, money_digits: int) -> str:
    tone, sign = ("up", "+") if minor > 0 else ("down", "") if minor < 0 else ("muted", "")
    return f'<span class="{tone}">{sign}{money_text(minor, money_digits)}</span>'


def _reason_cell(name: str) -> str:
    return f"{escape(reason_words(name))} <code>{name}</code>"


def _count_table(key: str, title: str, about: str, counts: Counts) -> str:
    rows = [(_reason_cell(name), f"{count:,}") for name, count in counts]
    return _table(key, title, about, ("Reason", "Times"), rows)


def _table(key: str, title: str, about: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a panel with a small table; cells are HTML already, the first of a row names it."""
    caption = f"<caption>{title}<small>{escape(about)}</small></caption>"
    head = "".join(f'<th scope="col"{NUMBER if i else ""}>{name}</th>' for i, name in enumerate(names))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td{NUMBER}>{cell}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    if not rows:
        return f'<section class="panel" id="{key}"><table>{caption}</table><p class="muted">None.</p></section>'
    return (
        f'<section class="panel" id="{key}"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</section>"
    )


def _cost_words(kind: int, size: int) -> str:
    return f"{size / 1e5:g} points" if kind == CostKind.POINTS else f"{size / 1e4:g} % of the bar's open"
