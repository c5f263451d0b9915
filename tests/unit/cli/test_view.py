"""What a person sees of a running bot, at 80 x 24 and beyond."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.cli.views import BLOCKED, FLAT, LONG, NOON_MS, SHORT, START

from palmbot.cli.view import LiveView, draw
from palmbot.config import Sources, load_settings
from palmbot.core.types import Reason
from palmbot.model import BotView, BreakerView, Difference
from palmbot.protocol.statement import NOT_STATED
from palmbot.settings import Settings
from palmbot.units import HOUR_MS, MINUTE_MS

VIEWS = {"start": START, "flat": FLAT, "long": LONG, "short": SHORT, "blocked": BLOCKED}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(Sources(folder=tmp_path, environ={}))


def screen(view: BotView, settings: Settings, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, file=StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(draw(view, settings, width), height=height)
    return captured.get().splitlines()


def shown(view: BotView, settings: Settings, width: int = 80, height: int = 24) -> str:
    return "\n".join(screen(view, settings, width, height))


@pytest.mark.parametrize("name", VIEWS)
def test_80_columns_and_24_lines_show_everything_uncut(name: str, settings: Settings) -> None:
    lines = screen(VIEWS[name], settings)
    assert len(lines) == 24
    assert all(len(line) == 80 for line in lines)
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("size", [(20, 5), (60, 18), (120, 40), (200, 60)])
@pytest.mark.parametrize("name", VIEWS)
def test_every_size_of_terminal_is_filled_exactly(name: str, size: tuple[int, int], settings: Settings) -> None:
    lines = screen(VIEWS[name], settings, *size)
    assert (len(lines), {len(line) for line in lines}) == (size[1], {size[0]})


def test_a_flat_bot_shows_market_account_and_history(settings: Settings) -> None:
    text = shown(FLAT, settings)
    for part in (
        "PALMOIL",
        "rsi_sentiment  paper",
        "Mon 2026-01-05 12:00 UTC ready",
        "3999.500 / 4001.500",
        "bar 11:30 3985.000-4010.000 +0.24%",
        "28.4 ",
        "30/70",
        "+35 ",
        "12m old",
        "412 closed",
        "100,146.45 MYR",
        "-841.00 ██",
        "of -5,000",
        "0.83% █",
        "of 25%",
        "17, 9 won",
        "flat",
        "all clear",
        "01-05 12:00 wait  RSI signal, but sentiment does not agree",
        "01-05 10:00 exit  held for the longest time allowed",
        "01-04 10:00 long  3985.000 to 4064.700 +987.45 the take profit was hit",
    ):
        assert part in text


def test_a_market_that_is_made_up_says_so_at_any_width(settings: Settings) -> None:
    assert "SYNTHETIC" in screen(FLAT, settings)[0]
    assert "SYNTHETIC" in screen(FLAT, settings, 40, 24)[0]


def test_a_dry_run_says_on_top_that_no_order_leaves_this_machine(settings: Settings) -> None:
    dry = replace(FLAT, mode="LIVE DRY RUN", synthetic=False, opens_ms=1_767_600_000_000)
    top, *rest = screen(dry, settings, 100, 24)
    assert "LIVE DRY RUN" in top
    assert "no order leaves this machine" in top
    assert "LIVE DRY RUN" in screen(dry, settings, 40, 24)[0]
    assert "closed" in "".join(rest)
    assert "opens Mon 2026-01-05 08:00 UTC" in "".join(rest)
    assert "order" not in screen(FLAT, settings, 100, 24)[0]
    assert "SYNTHETIC" not in shown(replace(FLAT, synthetic=False), settings)


def test_a_long_shows_stop_target_and_result_in_r_at_the_bid(settings: Settings) -> None:
    text = shown(LONG, settings)
    assert "Position, 5h old" in text
    assert "LONG 0.52 lot at 3974.500" in text
    assert "+325.00 MYR   +0.42 R" in text  # (3999.5 - 3974.5) / (3974.5 - 3915)
    assert "SL     3915.000 ───┼●─── 4054.000 TP" in text


def test_a_short_runs_from_its_stop_down_to_its_target_at_the_ask(settings: Settings) -> None:
    text = shown(SHORT, settings)
    assert "SHORT 0.52 lot at 3974.500" in text
    assert "-350.00 MYR   -0.45 R" in text  # (3974.5 - 4001.5) / (4034 - 3974.5)
    assert "SL     4034.000 ──●┼──── 3895.000 TP" in text


def test_r_is_measured_by_the_first_stop_also_when_the_stop_has_moved(settings: Settings) -> None:
    held = LONG.position
    assert held is not None
    moved = replace(LONG, position=replace(held, sl_px=397_450_000))
    assert "+0.42 R" in shown(moved, settings)
    assert " R " not in shown(replace(LONG, sl_first_px=0), settings).split("result")[1].splitlines()[0]


def test_a_position_without_a_stop_cries_out(settings: Settings) -> None:
    held = LONG.position
    assert held is not None
    assert "NO STOP" in shown(replace(LONG, position=replace(held, sl_px=None)), settings)
    assert "no TP" in shown(replace(LONG, position=replace(held, tp_px=None)), settings)


def test_breakers_count_down_by_the_market_clock(settings: Settings) -> None:
    lines = screen(BLOCKED, settings)
    text = "\n".join(lines)
    assert "Breakers: no entries" in text
    rows = {
        name: line for name in ("HALT_DRAWDOWN", "DAILY_LOSS", "VOLATILITY_SPIKE") for line in lines if name in line
    }
    assert "until re-armed" in rows["HALT_DRAWDOWN"]
    assert "22h 59m" in rows["DAILY_LOSS"]
    assert "42m" in rows["VOLATILITY_SPIKE"]
    later = replace(BLOCKED, clock_ms=NOON_MS + 40 * MINUTE_MS)
    assert "2m" in next(line for line in screen(later, settings) if "VOLATILITY_SPIKE" in line)


def test_a_single_breaker_is_explained_and_many_are_counted(settings: Settings) -> None:
    one = replace(BLOCKED, breakers=(BreakerView(Reason.LOSS_STREAK, NOON_MS + HOUR_MS),))
    assert "too many losses in a row" in shown(one, settings)
    reasons = (Reason.HALT_DRAWDOWN, Reason.DAILY_LOSS, Reason.LOSS_STREAK, Reason.STALE_FEED, Reason.LINK_LOST)
    many = replace(BLOCKED, breakers=tuple(BreakerView(reason, 0) for reason in reasons))
    text = shown(many, settings)
    assert "DAILY_LOSS" in text
    assert "and 3 more" in text


def test_breakers_that_are_off_are_said_to_be_off(tmp_path: Path) -> None:
    sets = ("daily_loss=0%", "drawdown=0%", "losses_max=0", "spike=0%")
    off = load_settings(Sources(folder=tmp_path, environ={}, sets=sets))
    text = shown(replace(FLAT, daily_limit_minor=0), off, 120)
    assert "day off, drawdown off, any losses, spike off" in text
    assert text.count("no limit") == 2
    assert "█" not in text


def test_a_days_profit_leaves_the_loss_bar_empty(settings: Settings) -> None:
    text = shown(replace(FLAT, day_open_minor=10_000_000), settings)
    assert "+146.45 ░" in text


def test_warming_up_and_missing_values_are_said_not_shown_as_numbers(settings: Settings) -> None:
    text = shown(START, settings)
    assert "warming up, 0 of 250" in text
    for words in ("no price yet", "none is forming", "not known yet", "none known: neutral", "no bar has closed yet"):
        assert words in text
    assert "nan" not in text


def test_stale_sentiment_is_called_stale(settings: Settings) -> None:
    assert "stale, 2d 2h" in shown(BLOCKED, settings)
    exactly = replace(FLAT, sentiment_age_ms=settings.params.sentiment_max_age_ms)
    assert "stale" not in shown(exactly, settings)


def test_more_lines_show_more_decisions_and_a_wide_screen_puts_trades_beside_them(settings: Settings) -> None:
    def decisions(width: int, height: int) -> int:
        return sum("│ 01-05 " in line for line in screen(FLAT, settings, width, height))

    assert decisions(80, 24) == 4
    assert decisions(80, 34) == 9
    assert decisions(160, 34) == 12
    wide = screen(FLAT, settings, 160, 34)
    assert any("Decisions" in line and "Trades" in line for line in wide)


def test_the_live_view_draws_the_newest_view_and_leaves_the_screen(settings: Settings) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None)
    with LiveView(settings, console) as live:
        live.show(START)
        live.show(LONG)
        live._live.refresh()  # what the terminal's own pace does
    text = out.getvalue()
    assert "LONG 0.52 lot" in text
    assert "\x1b[?1049h" in text  # the alternate screen is entered
    assert text.endswith("\x1b[?25h\x1b[?1049l")  # and left, with the cursor shown


def test_what_a_person_should_know_is_on_the_screen_and_afterwards_on_stderr(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=24, legacy_windows=False)
    with LiveView(settings, console) as live:
        live.note("DRY RUN of account 7")
        live._live.refresh()
        assert "DRY RUN of account 7" in out.getvalue()
        live.show(START)
        out.truncate(0)
        live._live.refresh()
        assert "DRY RUN of account 7" not in out.getvalue()
        live.note("The tokens could not be renewed.\nLog in.")
        live._live.refresh()
        assert "The tokens could not be renewed. Log in." in out.getvalue()
    assert capsys.readouterr().err == "DRY RUN of account 7\nThe tokens could not be renewed.\nLog in.\n"


def test_terms_that_are_not_as_configured_are_counted_where_the_market_is(settings: Settings) -> None:
    stated = (Difference("commission", "1", "3"), Difference("leverage", "20", "10"))
    assert "─ Market, 2 terms not as configured ─" in shown(replace(FLAT, differences=stated), settings)
    assumed = (Difference("spread", "2", NOT_STATED),)
    assert "─ Market ─" in shown(replace(FLAT, differences=assumed), settings)
