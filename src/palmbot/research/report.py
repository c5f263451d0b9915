"""The report of one run: a single HTML file that needs no network, now or ever.

The page's own policy forbids every request and every script or style whose hash it does not name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from palmbot.research.bootstrap import Band
from palmbot.research.chart_data import bars_a_candle, chart_data
from palmbot.research.output import write_text
from palmbot.research.report_cards import cards
from palmbot.research.report_figures import run_figures
from palmbot.research.report_tables import (
    data_rows,
    equity_still,
    list_items,
    pairs,
    parameter_rows,
    side_tables,
    trades_note,
    trades_table,
)
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary
from palmbot.research.wording import caveats, day_text, headline, number_text, span_text

CHART_MISSING = (
    "The chart of candles, entries and exits is not in this file, because the chart script was not found when it was "
    "made. Run <code>make setup</code>, which fetches it, and make the report again. All numbers are complete."
)
CHART_STILL = "Equity at the close of each bar. The chart needs JavaScript."
DOT = "\N{MIDDLE DOT}"
LOGO_STYLE = re.compile(r'"(a#tv-attr-logo\{[^"\\]*)"')  # the chart script adds this sheet for its attribution logo


def read_chart_script() -> str | None:
    """Return the chart library's script, or None where set-up has not fetched it."""
    script = files("palmbot").joinpath("static", "lightweight-charts.js")
    return script.read_text(encoding="utf-8") if script.is_file() else None


@dataclass(frozen=True, slots=True)
class Above:
    """What stands above the run on its page: the kind of the report, and HTML that was made of escaped text.

    ``chosen`` where the run is the best of many over the same series: then its profit is no merit of its own.
    """

    kind: str = "backtest"
    html: str = ""
    chosen: bool = False


BACKTEST = Above()


def write_report(
    result: RunResult, data: DataSet, summary: Summary, path: Path, chart_js: str | None, above: Above = BACKTEST
) -> None:
    """Write the report of ``result`` to ``path``.

    Args:
        result: of the run.
        data: its series.
        summary: the numbers of this result over this data.
        path: the file.
        chart_js: text of the chart library's standalone script (`read_chart_script`); None makes a page without chart.
        above: what stands above the run.

    Raises:
        UsageError: the file cannot be written.
    """
    write_text(path, render_report(result, data, summary, chart_js, above))


def render_report(
    result: RunResult, data: DataSet, summary: Summary, chart_js: str | None, above: Above = BACKTEST
) -> str:
    """Return the report as HTML; the arguments are those of `write_report`."""
    spec, bars = data.spec, data.bars
    name = spec.name.replace("_", " ")
    badge, badge_words = ("unsure", "chosen because of it") if above.chosen else mood(summary.profit_factor_band)
    css = _template("report.css")
    scripts = [] if chart_js is None else [_inline(chart_js), _inline(_template("report.js"))]
    styles = [css] if chart_js is None else [css, *LOGO_STYLE.findall(chart_js)]
    span = f"{day_text(int(bars.ts_ms[0]))} to {day_text(int(bars.ts_ms[-1]))}"
    length = f"{len(bars.ts_ms):,} bars of {span_text(data.period_ms)}"
    return Template(_template("report.html")).substitute(
        policy=_policy(scripts, styles),
        css=css,
        title=escape(f"{name} / {result.profile}: {above.kind}"),
        kind=escape(above.kind),
        study=above.html,
        run_title="The winner on the series that chose it" if above.chosen else "What this run shows",
        figures=run_figures(result, data, summary, summary.seed),
        heading=escape(f"{name[:1].upper()}{name[1:]} {DOT} {result.profile}"),
        facts=escape(f" {DOT} ".join((f"{spec.symbol} in {spec.deposit_currency}", length, span))),
        synthetic=_synthetic(data),
        mood=badge,
        mood_words=badge_words,
        headline=escape(headline(summary)),
        caveats=list_items(caveats(summary, result, data)),
        cards=cards(summary, spec.deposit_currency),
        chart_note=_chart_note(len(bars.ts_ms)),
        chart_label=escape(f"Candles of {name} with entries and exits, equity, drawdown and RSI, {span}", quote=True),
        still=equity_still(result),
        missing=CHART_MISSING if chart_js is None else CHART_STILL,
        trades=trades_table(summary, data),
        trades_note=escape(trades_note(summary, spec.deposit_currency)),
        tables=side_tables(summary, spec.deposit_currency),
        profile=escape(result.profile),
        parameters=pairs(parameter_rows(result.params)),
        data_facts=pairs(data_rows(data)),
        notes=f'<ul class="notes">{list_items(data.notes)}</ul>' if data.notes else "",
        resamples=f"{summary.resamples:,}",
        block=number_text(summary.mean_block, 1),
        seed=summary.seed,
        data=json.dumps(chart_data(result, data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def mood(band: Band | None) -> tuple[str, str]:
    """Return class and words of the verdict's badge, by the profit factor's band."""
    if band is None or band.hi is None or band.lo <= 1 <= band.hi:
        return "unsure", "no edge shown"
    return ("bad", "loses after costs") if band.hi < 1 else ("good", "profit in the sample")


def _synthetic(data: DataSet) -> str:
    if not data.synthetic:
        return ""
    return '<p class="synthetic"><strong>SYNTHETIC</strong> This market was generated. No such prices ever traded.</p>'


def _chart_note(bars: int) -> str:
    shared = bars_a_candle(bars)
    if shared == 1:
        return ""
    return f'<p class="notice">{bars:,} bars are too many to draw: each candle shows {shared} of them.</p>'


def _template(name: str) -> str:
    return files("palmbot.research").joinpath("templates", name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """Return ``script`` such that it cannot end its element early and hashes as the browser will hash it."""
    return re.sub(r"</(?=script)", r"<\\/", script.replace("\r\n", "\n").replace("<!--", "<\\!--"), flags=re.IGNORECASE)


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return a content security policy that allows exactly ``scripts`` and ``styles``, and no request at all."""

    def sources(texts: list[str]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"

    return (
        f"default-src 'none'; script-src {sources(scripts)}; style-src {sources(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
