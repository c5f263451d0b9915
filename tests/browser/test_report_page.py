"""The report as a reader sees it: opened from disk in Chromium, with no network at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, sync_playwright
from tests.sample_run import sample_run
from tests.sample_study import sample_study

from palmbot.research.report import read_chart_script, write_report
from palmbot.research.report_study import write_study_report
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary, summarize

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DISTINCT_COLOURS = """() => {
  const seen = new Set();
  for (const canvas of document.querySelectorAll("#chart canvas")) {
    if (canvas.width < 200 || canvas.height < 100) continue;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (const pixel of new Uint32Array(pixels.buffer)) seen.add(pixel);
  }
  return seen.size;
}"""


@dataclass
class Watched:
    """A page and everything it complained about or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """A report on disk and what it was made of."""

    path: Path
    result: RunResult
    data: DataSet
    summary: Summary


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    result, data = sample_run(500)
    script = read_chart_script()
    assert script is not None, "run make setup: the chart script is missing"
    path = tmp_path_factory.mktemp("report") / "report.html"
    summary = summarize(result, data)
    write_report(result, data, summary, path, script)
    return Report(path, result, data, summary)


def watch(context: BrowserContext, path: Path) -> Watched:
    watched = Watched(context.new_page())

    def note_console(message: ConsoleMessage) -> None:
        watched.said.append(message.text)

    def note_error(error: Error) -> None:
        watched.said.append(error.message)

    def note_request(request: Request) -> None:
        watched.asked.append(request.url)

    watched.page.on("console", note_console)
    watched.page.on("pageerror", note_error)
    watched.page.on("request", note_request)
    watched.page.goto(path.as_uri())
    return watched


@pytest.fixture
def opened(browser: Browser, report: Report) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    watched = watch(context, report.path)
    yield watched
    assert watched.said == []
    assert watched.asked == [report.path.as_uri()]
    context.close()


def text_of(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text().replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def shown_days(page: Page) -> tuple[str, str]:
    first, last = text_of(page, "#range").split(" to ")
    return first, last


def day_of(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d")


def test_the_chart_is_drawn_and_the_whole_run_is_in_view(opened: Watched, report: Report) -> None:
    page = opened.page
    page.wait_for_function(f"({DISTINCT_COLOURS})() > 20")
    bars = report.data.bars.ts_ms.tolist()
    assert shown_days(page) == (day_of(bars[0]), day_of(bars[-1]))
    assert page.locator("#still").is_hidden()
    assert page.locator("#tv-attr-logo").count() == 1


def test_the_numbers_on_the_page_are_those_of_the_summary(opened: Watched, report: Report) -> None:
    page, summary = opened.page, report.summary
    assert summary.profit_factor is not None
    assert summary.profit_factor_band is not None
    assert summary.profit_factor_band.hi is not None
    assert summary.win_rate is not None
    low, high = summary.profit_factor_band.lo, summary.profit_factor_band.hi
    net = f"{summary.net_minor / 100:,.2f}"
    assert net in text_of(page, "#card-net .value")
    assert text_of(page, "#card-profit_factor .value") == f"{summary.profit_factor:.2f}"
    assert text_of(page, "#card-profit_factor .band") == f"5\N{EN DASH}95 %: {low:.2f} to {high:.2f}"
    assert f"{summary.trades} trades" in text_of(page, "#card-profit_factor")
    assert text_of(page, "#card-win_rate .value") == f"{100 * summary.win_rate:.1f} %"
    assert f"{summary.wins} of {summary.trades} trades" in text_of(page, "#card-win_rate")
    assert text_of(page, "#card-drawdown .value") == f"{summary.max_drawdown_pct:.1f} %"
    assert text_of(page, "#card-expectancy .value") == f"{summary.expectancy_r:.3f} R"
    assert text_of(page, "#card-sharpe .value") == f"{summary.sharpe:.2f}"
    assert f"{low:.2f} to {high:.2f}" in text_of(page, "#headline")
    assert page.locator("#trades tbody tr").count() == len(report.result.trades)
    assert "SYNTHETIC" in text_of(page, "header")


def test_choosing_a_trade_moves_the_chart_to_it_and_shows_its_levels(opened: Watched, report: Report) -> None:
    page, trade = opened.page, report.result.trades[5]
    before = shown_days(page)
    page.locator("#trades tbody tr").nth(5).click()
    page.wait_for_function("before => document.getElementById('range').textContent !== before", arg=" to ".join(before))
    first, last = shown_days(page)
    assert first <= day_of(trade.entry_ms) <= day_of(trade.exit_ms) <= last
    assert (first, last) != before
    picked = text_of(page, "#picked")
    assert picked.startswith(f"Trade 6 of {len(report.result.trades)}: {'long' if trade.side > 0 else 'short'}")
    for level in (trade.entry_px, trade.sl_px, trade.tp_px):
        assert f"{level / 100_000:,.1f}" in picked
    assert f"{trade.pnl_minor / 100:,.2f}" in picked
    assert page.locator("tr.chosen").count() == 1

    page.locator("#whole").click()
    page.wait_for_function("before => document.getElementById('range').textContent === before", arg=" to ".join(before))
    assert page.locator("#picked").is_hidden()
    assert page.locator("tr.chosen").count() == 0


def test_the_keyboard_reaches_the_trades(opened: Watched) -> None:
    page = opened.page
    page.locator("#trades tbody tr").nth(2).locator("button").focus()
    page.keyboard.press("Enter")
    assert text_of(page, "#picked").startswith("Trade 3 of")
    page.locator("#next").press("Enter")
    assert text_of(page, "#picked").startswith("Trade 4 of")
    page.locator("#previous").press("Enter")
    page.locator("#previous").press("Enter")
    assert text_of(page, "#picked").startswith("Trade 2 of")
    assert page.locator("[aria-pressed=true]").inner_text() == "2"


def test_pointing_at_a_candle_names_its_prices(opened: Watched, report: Report) -> None:
    page, bars = opened.page, report.data.bars
    days = [day_of(ts_ms) for ts_ms in bars.ts_ms.tolist()]
    page.locator("#chart").hover(position={"x": 400, "y": 150})
    page.wait_for_function("last => !document.getElementById('legend').textContent.includes(last)", arg=days[-1])
    said = text_of(page, "#legend").split()
    place = days.index(said[0])
    shown = {name: said[said.index(name) + 1] for name in ("O", "H", "L", "C", "Equity")}
    prices = zip("OHLC", (bars.open_px, bars.high_px, bars.low_px, bars.close_px), strict=True)
    assert shown == {
        **{name: f"{int(column[place]) // 100_000:,}" for name, column in prices},
        "Equity": f"{report.result.equity_minor[place] / 100:,.2f}",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways(browser: Browser, report: Report, scheme: str) -> None:
    dark = scheme == "dark"
    context = browser.new_context(
        viewport={"width": 420, "height": 900},
        color_scheme="dark" if dark else "light",
        offline=True,
    )
    watched = watch(context, report.path)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 420
    background = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", background)[:3])
    assert brightness < 200 if dark else brightness > 600
    assert watched.said == []
    context.close()


def test_without_the_chart_script_the_page_shows_a_still_and_says_what_to_do(
    browser: Browser,
    report: Report,
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.html"
    write_report(report.result, report.data, report.summary, path, None)
    context = browser.new_context(offline=True)
    watched = watch(context, path)
    assert "make setup" in text_of(watched.page, "#still")
    assert watched.page.locator("#chart").is_hidden()
    assert watched.page.locator("#tools").is_hidden()
    assert text_of(watched.page, "#card-profit_factor .value") == f"{report.summary.profit_factor:.2f}"
    assert watched.said == []
    assert watched.asked == [path.as_uri()]
    context.close()


@pytest.mark.parametrize("width", [420, 1280])
def test_the_page_of_a_study_begins_with_the_verdict_and_never_scrolls_sideways(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    made = sample_study()
    path = tmp_path / "report.html"
    assert write_study_report(made, "optimisation", path)
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    watched = watch(context, path)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert text_of(watched.page, "#word .word") == made.verdict.word
    assert watched.page.locator("#maps td.best").count() == 2
    assert watched.said == []
    context.close()
