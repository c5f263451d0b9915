"""The page of a search: verdict first, every figure a text too, nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from bench.planted import BASE, data_of, walk
from tests.sample_study import sample_study, searcher_of, settings_of

from palmbot.research.drawing import Plot, round_values
from palmbot.research.evidence import Verdict
from palmbot.research.report_figures import run_figures
from palmbot.research.report_study import study_html, write_study_report
from palmbot.research.statistics import summarize
from palmbot.research.study import Study, study

DRAWING = re.compile(r'<svg class="plot".*?</svg>', re.DOTALL)


@cache
def sections() -> str:
    made = sample_study()
    params = made.search.best_params
    assert params is not None
    return study_html(made, params)


def drawings(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(each) for each in DRAWING.findall(html)]  # noqa: S314 - our own


def test_the_verdict_and_its_reasons_come_first() -> None:
    made = sample_study()
    html = sections()
    assert html.startswith('<section class="verdict" id="word"')
    assert f'class="word {made.verdict.word}">{made.verdict.word}<' in html
    assert html.index(made.verdict.word) < html.index("In sample and out of sample")
    for key in (
        "targets",
        "luck",
        "stress",
        "walk-rolling",
        "walk-anchored",
        "null-shuffled",
        "null-sign-flipped",
        "maps",
    ):
        assert f'id="{key}"' in html


def test_every_window_has_a_bar_for_what_it_promised_and_one_for_what_it_kept() -> None:
    rolling = sample_study().evidence.rolling
    assert rolling is not None
    walked = next(each for each in drawings(sections()) if "rolling" in each.attrib["aria-label"])
    titles = [each.text or "" for each in walked.iter("title")]
    trained = [window for window in rolling.windows if window.train is not None]
    assert sum("tested" in each for each in titles) == len(rolling.windows)
    assert sum("trained" in each for each in titles) == len(trained)


def test_the_surrogates_are_all_in_the_bars_and_the_real_series_is_marked() -> None:
    found = sample_study().evidence.shuffled
    assert found is not None
    null = next(each for each in drawings(sections()) if "luck" in each.attrib["aria-label"])
    counts = [int(text.split()[0]) for each in null.iter("rect") for text in [each.findtext("title") or ""]]
    assert sum(counts) == np.isfinite(found.scores).sum()
    assert len([each for each in null.iter("line") if each.attrib.get("class") == "mark"]) == 1


def test_a_verdict_from_outside_stays_text() -> None:
    made = replace(sample_study(), verdict=Verdict("NOISE", ("<b onclick=1>bold</b>",)))
    params = made.search.best_params
    assert params is not None
    assert "<b onclick" not in study_html(made, params)


def test_the_winner_is_not_praised_on_the_series_that_chose_it(tmp_path: Path) -> None:
    assert write_study_report(sample_study(), "optimisation", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "The winner on the series that chose it" in page
    assert 'class="mood good"' not in page
    assert page.index('id="word"') < page.index('id="headline"')
    assert len(page) < 1_500_000


def without_winner() -> Study:
    return study(
        data_of(walk(3_000, 1)),
        searcher_of({"rsi_low": [0.0], "rsi_high": [100.0]}),
        BASE,
        settings_of(),
        lambda *_: None,
    )


def test_a_search_without_a_winner_has_no_page(tmp_path: Path) -> None:
    assert not write_study_report(without_winner(), "optimisation", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_every_figure_of_a_run_says_in_words_what_it_draws() -> None:
    made = sample_study()
    assert made.run is not None
    html = run_figures(made.run, made.data, summarize(made.run, made.data))
    labels = [each.attrib["aria-label"] for each in drawings(html)]
    assert len(labels) == 4  # half a year's days are too few for a rolling ratio
    assert all(len(each) > 40 for each in labels)


def test_the_waterfall_falls_from_gross_to_net_by_the_costs() -> None:
    made = sample_study()
    assert made.run is not None
    summary = summarize(made.run, made.data)
    html = run_figures(made.run, made.data, summary)
    fall = next(each for each in drawings(html) if "gross to net" in each.attrib["aria-label"])
    told = {
        title.split(":")[0]: title.split(": ")[1]
        for each in fall.iter("rect")
        for title in [each.findtext("title") or ""]
    }
    money = {
        name: round(100 * float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))) for name, text in told.items()
    }
    charges = sum(value for name, value in money.items() if name not in {"Gross", "Net"})
    assert money["Gross"] + charges == money["Net"] == sum(each.pnl_minor for each in summary.closed)


def test_months_multiply_to_the_years_and_the_years_to_the_whole() -> None:
    made = sample_study()
    assert made.run is not None
    html = run_figures(made.run, made.data, summarize(made.run, made.data))
    rows = re.findall(r"<tr><th scope=\"row\">(\d{4})</th>(.*?)</tr>", html)
    years = [float(re.findall(r">([^<>]+)</td>", cells)[-1].replace("\N{MINUS SIGN}", "-")) for _, cells in rows]
    whole = np.prod([1 + each / 100 for each in years])
    assert whole == pytest.approx(made.run.equity_minor[-1] / made.run.start_balance_minor, abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 10.0, [0, 2, 4, 6, 8, 10]), (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1]), (0.0, 0.03, [0, 0.01, 0.02, 0.03])],
)
def test_axes_have_round_values(low: float, high: float, expected: list[float]) -> None:
    assert round_values(low, high, 5 if high > 0.05 else 3) == pytest.approx(expected)


def test_a_line_is_broken_where_nothing_is_known() -> None:
    ys = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    svg = Plot((0.0, 4.0), (0.0, 4.0)).line(np.arange(5.0), ys, "curve").svg("two pieces")
    assert svg.count("<polyline") == 2


def test_an_axis_of_one_value_is_widened() -> None:
    plot = Plot((1.0, 1.0), (2.0, 2.0))
    assert plot.x(1.0) > 0
    assert plot.y(2.0) > 0
