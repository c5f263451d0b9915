"""The report as a file: what it says, what it may load, and what it never lets in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sample_run import BALANCE_MINOR, data_of, result_of, sample_run, trade_of, walk

from palmbot.core.types import Reason
from palmbot.research.bootstrap import Band
from palmbot.research.chart_data import CANDLES_MAX, bars_a_candle, chart_data, shown_digits
from palmbot.research.report import mood, render_report, write_report
from palmbot.research.report_tables import ROWS_MAX
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import drawdown_curve_pct, summarize
from palmbot.research.wording import (
    caveats,
    headline,
    money_text,
    number_text,
    percent_text,
    reason_words,
    span_text,
    value_words,
    volume_text,
)
from palmbot.units import HOUR_MS, PX

LOGO_CSS = "a#tv-attr-logo{--fill:#131722;position:absolute;}"
SCRIPT = f'window.LightweightCharts = null; const sheet = "{LOGO_CSS}";\r\n'


class Page(HTMLParser):
    """The elements of a page with their attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, text: str) -> None:
        if self.found:
            self.texts.append((self.found[-1][0], text))

    def policy(self) -> str:
        return next(a["content"] or "" for tag, a in self.found if tag == "meta" and "http-equiv" in a)


def page_of(result: RunResult, data: DataSet, chart_js: str | None = SCRIPT) -> str:
    return render_report(result, data, summarize(result, data), chart_js)


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def small_run(**changes: Any) -> tuple[RunResult, DataSet]:
    result, data = sample_run(120)
    return result, data_of(data.bars, **changes)


# --- what it may load


def test_the_policy_names_exactly_the_scripts_and_styles_of_the_page() -> None:
    html = page_of(*small_run())
    policy = dict(part.strip().split(" ", 1) for part in unescape(Page(html).policy()).split(";"))
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(scripts) == 2
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == [sha256(script) for script in scripts]
    assert policy["style-src"].split() == [sha256(style), sha256(LOGO_CSS)]
    assert policy["base-uri"] == policy["form-action"] == "'none'"


def test_nothing_on_the_page_points_outside_but_the_link_to_tradingview() -> None:
    page = Page(page_of(*small_run()))
    targets = [attrs[name] for _, attrs in page.found for name in ("src", "href", "action", "data") if name in attrs]
    assert [target for target in targets if not (target or "").startswith(("#", "data:,"))] == [
        "https://www.tradingview.com/",
    ]
    assert not any("style" in attrs or any(name.startswith("on") for name in attrs) for _, attrs in page.found)


def test_a_script_that_contains_its_own_end_tag_cannot_break_out() -> None:
    html = page_of(*small_run(), chart_js='let a = "</script><b>out</b>"; let c = "<!--";')
    assert not [tag for tag, _ in Page(html).found if tag == "b"]
    assert html.count("</script>") == 3


@pytest.mark.parametrize("place", ["profile", "series", "adjustment", "instrument", "symbol", "currency"])
def test_text_from_outside_stays_text(place: str) -> None:
    evil = '</script><img src=x onerror=alert(1)>"&'
    result, data = small_run(notes=(evil,))
    spec = data.spec
    evil_ones: dict[str, tuple[RunResult, DataSet]] = {
        "profile": (replace(result, profile=evil), data),
        "series": (result, replace(data, name=evil)),
        "adjustment": (result, replace(data, adjustment=evil)),
        "instrument": (result, replace(data, spec=replace(spec, name=evil))),
        "symbol": (result, replace(data, spec=replace(spec, symbol=evil))),
        "currency": (result, replace(data, spec=replace(spec, deposit_currency=evil))),
    }
    result, data = evil_ones[place]
    page = Page(page_of(result, data))
    assert not [tag for tag, _ in page.found if tag == "img"]
    assert [tag for tag, _ in page.found].count("script") == 3
    assert sum(evil in text for _, text in page.texts) > 1


def test_tradingview_is_named_as_its_notice_asks() -> None:
    html = page_of(*small_run())
    assert "TradingView Lightweight Charts" in html
    assert "attributionLogo: true" in html


def test_without_the_chart_script_the_page_says_how_to_get_it_and_keeps_its_numbers() -> None:
    html = page_of(*small_run(), chart_js=None)
    page = Page(html)
    assert "make setup" in html
    assert not re.findall(r"<script>", html)
    assert "script-src 'none'" in unescape(page.policy())
    assert html.split('<figure id="still">')[1].split("</figure>")[0].count("<polyline") == 1
    assert html.count("data-trade=") == len(small_run()[0].trades)


def test_three_thousand_daily_bars_stay_below_a_megabyte(tmp_path: Path) -> None:
    result, data = sample_run(3_000)
    script = "/*" + "x" * 200_000 + "*/"  # about the size of the real one
    write_report(result, data, summarize(result, data), tmp_path / "report.html", script)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


# --- what it says


def test_a_generated_market_is_labelled_and_a_real_one_is_not() -> None:
    assert "SYNTHETIC" in page_of(*small_run())
    assert "SYNTHETIC" not in page_of(*small_run(synthetic=False, name="my file"))


def band_headline(band: Band | None, *pnl: int) -> str:
    result = result_of(tuple(trade_of(value) for value in pnl), [BALANCE_MINOR])
    return headline(replace(summarize(result, data_of(walk(1))), profit_factor_band=band))


@pytest.mark.parametrize(
    ("band", "said"),
    [
        (Band(0.61, 1.09), "0.61 to 1.09: this run does not show an edge"),
        (Band(0.9, 1.0), "does not show an edge"),
        (Band(1.0, 1.4), "does not show an edge"),
        (Band(0.5, 0.99), "lose money after costs"),
        (Band(1.05, 2.0), "whether it lasts is not shown"),
        (Band(1.2, None), "does not show an edge"),
    ],
)
def test_the_headline_never_claims_more_than_the_band(band: Band, said: str) -> None:
    assert said in band_headline(band, 100, -100)


def test_the_headline_says_so_when_there_is_nothing_to_judge() -> None:
    assert "No trade was closed" in band_headline(None)
    assert "One trade" in band_headline(None, 5)
    assert "None of the 3 trades lost" in band_headline(None, 5, 5, 5)


@pytest.mark.parametrize(
    ("band", "expected"),
    [
        (None, "unsure"),
        (Band(1.2, None), "unsure"),
        (Band(0.8, 1.2), "unsure"),
        (Band(0.8, 1.0), "unsure"),
        (Band(1.0, 1.2), "unsure"),
        (Band(0.5, 0.9), "bad"),
        (Band(1.1, 2.0), "good"),
    ],
)
def test_the_badge_follows_the_band(band: Band | None, expected: str) -> None:
    assert mood(band)[0] == expected


def test_the_caveats_name_what_the_reader_must_know() -> None:
    trades = tuple(trade_of(pnl) for pnl in (-25_000, 13_000, -10_000))
    halts = ((int(walk(3).end_ms[1]), int(Reason.HALT_DRAWDOWN)),)
    result = result_of(trades, [1, 1, BALANCE_MINOR + 5], halts=halts)
    data = data_of(walk(3))
    said = " ".join(caveats(summarize(result, data), result, data))
    assert "The market was generated" in said
    assert "halted trading on 2010-01-04: the rest of the series was not traded" in said
    assert "With 3 trades" in said
    assert "one run over one series" in said
    assert "The data carry a note" in said
    assert "would win 42.9\N{NO-BREAK SPACE}% of trades" in said
    assert "1.75 times the planned risk on average and 2.50 times at worst: a stop does not bound" in said
    assert "A position was open at the end" in said


def test_the_caveats_leave_out_what_does_not_apply() -> None:
    result, data = sample_run(1_200)
    said = " ".join(caveats(summarize(result, data), result, data_of(data.bars, synthetic=False, notes=())))
    assert "generated" not in said
    assert "note" not in said
    assert "halted" not in said
    assert "rough guess" not in said
    assert "does not bound" not in said


def test_only_the_first_rows_of_a_long_list_are_in_the_table() -> None:
    trades = tuple(trade_of(1) for _ in range(ROWS_MAX + 5))
    html = page_of(result_of(trades, [BALANCE_MINOR]), data_of(walk(1)))
    assert html.count("<tr data-trade=") == ROWS_MAX
    assert "The first 1,000 of 1,005; trades.csv has all" in html


def test_a_run_without_a_trade_still_makes_a_page() -> None:
    html = page_of(result_of((), [BALANCE_MINOR, BALANCE_MINOR]), data_of(walk(2)))
    assert "No trade was closed" in html
    assert "no band" in html
    assert "NaN" not in html
    assert ">nan" not in html


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (money_text(-123_456_789, 2), "\N{MINUS SIGN}1,234,567.89"),
        (money_text(5, 0), "5"),
        (number_text(None), "\N{EN DASH}"),
        (number_text(-0.001), "0.00"),
        (number_text(-1.5, 1, "R"), "\N{MINUS SIGN}1.5\N{NO-BREAK SPACE}R"),
        (percent_text(0.123), "12.3\N{NO-BREAK SPACE}%"),
        (reason_words("SL"), "stop loss"),
        (reason_words("WIDE_SPREAD"), "wide spread"),
        (span_text(HOUR_MS), "1 hour"),
        (span_text(90 * 60_000), "90 minutes"),
        (value_words("sl_ppm", 15_000), "15,000 (1.5 %)"),
        (value_words("daily_loss_bp", 500), "500 (5 %)"),
        (value_words("cooldown_ms", 4 * HOUR_MS), "14,400,000 (4 hours)"),
        (value_words("rearm_after_ms", 0), "0"),
        (volume_text(25, 2_500), "0.01"),
        (volume_text(1, 2_500), "0.0004"),
        (volume_text(2_500_000_00, 2_500), "100,000.00"),
    ],
)
def test_numbers_read_as_a_person_writes_them(said: str, expected: str) -> None:
    assert said == expected


# --- the chart's data


def test_each_bar_is_a_candle_with_its_equity_and_drawdown() -> None:
    result, data = sample_run(200)
    drawn = json.loads(json.dumps(chart_data(result, data), allow_nan=False))
    assert drawn["t"] == (data.bars.ts_ms // 1000).tolist()
    assert drawn["digits"] == 0
    assert drawn["o"] == [price // PX for price in data.bars.open_px.tolist()]
    assert drawn["c"] == [price // PX for price in data.bars.close_px.tolist()]
    assert drawn["equity"] == [round(minor / 100, 2) for minor in result.equity_minor.tolist()]
    worst = drawdown_curve_pct(BALANCE_MINOR, result.equity_minor, result.equity_low_minor).max()
    assert max(drawn["fall"]) == pytest.approx(worst, abs=0.0005)
    assert drawn["rsi"][0] is None
    assert len(drawn["trades"]) == len(result.trades)


def test_a_trade_points_at_the_candles_that_hold_its_fills() -> None:
    result, data = sample_run(200)
    starts = data.bars.ts_ms.tolist()
    for trade, row in zip(result.trades, chart_data(result, data)["trades"], strict=True):
        side, entry, leave, entry_price, exit_price, stop, target, money, reason = row
        assert starts[entry] <= trade.entry_ms < [*starts, 2**62][entry + 1]
        assert starts[leave] <= trade.exit_ms < [*starts, 2**62][leave + 1]
        assert (entry_price, exit_price) == (trade.entry_px / PX, trade.exit_px / PX)
        assert (stop, target) == (trade.sl_px / PX, trade.tp_px / PX)
        assert (side, money) == (trade.side, trade.pnl_minor / 100)
        assert reason in {"stop loss", "take profit"}


def test_too_many_bars_share_candles_without_losing_an_extreme() -> None:
    bars = CANDLES_MAX * 2 + 3
    result, data = sample_run(bars, period_ms=HOUR_MS)
    shared = bars_a_candle(bars)
    drawn = chart_data(result, data)
    assert shared == 3
    assert len(drawn["t"]) == -(-bars // shared)
    high, low = data.bars.high_px.tolist(), data.bars.low_px.tolist()
    for i in (0, 1, 777, len(drawn["t"]) - 1):
        group = slice(i * shared, min((i + 1) * shared, bars))
        assert drawn["t"][i] == data.bars.ts_ms[group][0] // 1000
        assert drawn["h"][i] == max(high[group]) // PX
        assert drawn["l"][i] == min(low[group]) // PX
        assert drawn["c"][i] == data.bars.close_px[group][-1] // PX
        assert drawn["equity"][i] == result.equity_minor[group][-1] / 100
    assert f"{bars:,} bars are too many to draw: each candle shows 3 of them" in page_of(result, data)


def test_bars_that_the_run_did_not_reach_have_no_equity() -> None:
    _, data = sample_run(50)
    part = result_of((), [BALANCE_MINOR] * 20, equity_ts_ms=data.bars.end_ms[:20])
    drawn = chart_data(part, data)
    assert drawn["equity"] == [BALANCE_MINOR / 100] * 20 + [None] * 30
    assert len(drawn["t"]) == 50


def test_prices_show_the_fewest_decimals_that_are_exact() -> None:
    assert shown_digits(np.array([4_000 * PX, 4_001 * PX]), 3) == 0
    assert shown_digits(np.array([4_000 * PX, 4_000 * PX + 50_000]), 3) == 1
    assert shown_digits(np.array([123_456]), 5) == 5
