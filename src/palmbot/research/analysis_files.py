"""An analysis as files: trades and refused trades as CSV, figures as PNG, all of it as one PDF and one JSON."""

from __future__ import annotations

import io
import json
import math
import textwrap
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from palmbot.core.types import Reason, Side
from palmbot.research.advice import Advice
from palmbot.research.analysis import Analysis
from palmbot.research.breakdown import WEEKDAYS
from palmbot.research.figures import INK, PALE, SIZE_IN, drawn
from palmbot.research.output import decimal_text, iso_time, price_text, write_bytes, write_table, write_text
from palmbot.research.terminal import terminal

TRADE_COLUMNS = (
    "entry_time", "exit_time", "side", "entry_price", "exit_price", "exit_reason", "rsi", "sentiment",
    "volatility_pct", "hour", "weekday", "bars_held", "mae_r", "mfe_r", "pnl", "r",
)  # fmt: skip
REFUSED_COLUMNS = ("decided_at", "side", "refused_for", "entry_time", "exit_time", "exit_reason", "pnl", "r")
DPI = 130
LINE = 108  # characters of a line of text on a page of the PDF


def write_analysis(analysis: Analysis, said: Advice, folder: Path) -> tuple[Path, ...]:
    """Write everything into ``folder``, which is made; return what was written, the PDF first.

    Raises:
        UsageError: the folder cannot be written.
    """
    trades, refused = folder / "trades.csv", folder / "refused.csv"
    related = tuple(f"{name}_change_pct" for name in analysis.related)
    write_table(trades, (*TRADE_COLUMNS, *related), _trade_rows(analysis))
    write_table(refused, REFUSED_COLUMNS, _refused_rows(analysis))
    numbers = folder / "analysis.json"
    body = analysis.to_json() | {"findings": said.findings, "recommendations": said.recommendations}
    write_text(numbers, json.dumps(body, indent=1, allow_nan=False))
    figures = drawn(analysis)
    pictures = []
    for name, figure in figures.items():
        pictures.append(folder / f"{name}.png")
        write_bytes(pictures[-1], _png(figure))
    pdf = folder / "analysis.pdf"
    write_bytes(pdf, _pdf(analysis, said, figures))
    return (pdf, trades, refused, numbers, *pictures)


def _trade_rows(analysis: Analysis) -> list[tuple[object, ...]]:
    digits, money = analysis.data.spec.digits, analysis.summary.money_digits
    return [
        (
            iso_time(int(row["entry_ms"])), iso_time(int(row["exit_ms"])), Side(int(row["side"])).name.lower(),
            price_text(int(row["entry_px"]), digits), price_text(float(row["exit_px"]), digits),
            Reason(int(row["reason"])).name, _number(row["rsi"]), _number(row["sentiment"]),
            _number(row["volatility_pct"]), int(row["hour"]), WEEKDAYS[int(row["weekday"])], int(row["bars_held"]),
            _number(row["mae_r"]), _number(row["mfe_r"]), decimal_text(int(row["pnl_minor"]), money), _number(row["r"]),
            *(_number(100.0 * change[index]) for change in analysis.related.values()),
        )
        for index, row in enumerate(analysis.moments)
    ]  # fmt: skip


def _refused_rows(analysis: Analysis) -> list[tuple[object, ...]]:
    money = analysis.summary.money_digits
    return [
        (
            iso_time(int(row["bar_end_ms"])), Side(int(row["side"])).name.lower(), Reason(int(row["reason"])).name,
            iso_time(int(row["entry_ms"])), iso_time(int(row["exit_ms"])), Reason(int(row["exit_reason"])).name,
            decimal_text(int(row["pnl_minor"]), money), _number(row["r"]),
        )
        for row in analysis.shadows
    ]  # fmt: skip


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _pdf(analysis: Analysis, said: Advice, figures: dict[str, Figure]) -> bytes:
    heading = "SYNTHETIC DATA. " if analysis.data.synthetic else ""
    about = {
        "Title": f"{heading}RSI study of {analysis.data.name}",
        "Creator": "palmbot analyze",
        "CreationDate": None,  # the same study is the same file
    }
    content = io.BytesIO()
    with PdfPages(content, metadata=about) as pages:
        pages.savefig(_text_page(f"{heading}RSI study of {analysis.data.name}", _summary(analysis, said)))
        for figure in figures.values():
            pages.savefig(figure)
        numbers = terminal(analysis.summary, analysis.result, analysis.data, None)
        pages.savefig(_text_page("The numbers of the run", numbers))
    return content.getvalue()


def _summary(analysis: Analysis, said: Advice) -> str:
    paragraphs = ["What was seen", *(f"- {each}" for each in said.findings), "", "What to do about it"]
    paragraphs += [f"- {each}" for each in said.recommendations]
    rules = f"{analysis.result.profile}, {analysis.data.bars.ts_ms.shape[0]} bars of {analysis.data.name}"
    return "\n".join([rules, "", *paragraphs])


def _text_page(title: str, text: str) -> Figure:
    page = Figure(figsize=SIZE_IN)
    page.text(0.06, 0.93, title, fontsize=15, color=INK, va="top")
    lines = [line for each in text.splitlines() for line in (_wrapped(each) or [""])]
    size = min(9.5, 9.5 * 34 / max(len(lines), 1))
    page.text(0.06, 0.84, "\n".join(lines), fontsize=size, color=INK, va="top", linespacing=1.35, family="monospace")
    page.text(0.06, 0.03, "Bands are 5-95 %. Past results; no promise.", fontsize=7.5, color=PALE)
    return page


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, LINE, subsequent_indent="  " if line.startswith("- ") else "")
