"""Off a terminal: one plain line for each closed trade and each breaker, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

from tests.unit.cli.views import FLAT, NOON_MS, START, TRADES

from palmbot.cli.lines import Lines
from palmbot.config import Sources, load_settings
from palmbot.core.types import Reason
from palmbot.model import BotView, BreakerView
from palmbot.units import HOUR_MS


def written(folder: Path, *views: BotView) -> list[str]:
    out = StringIO()
    lines = Lines(load_settings(Sources(folder=folder, environ={})), out)
    for view in views:
        lines.show(view)
    return out.getvalue().splitlines()


def test_a_closed_trade_is_one_line_with_its_result_and_reason(tmp_path: Path) -> None:
    after = replace(START, trades=TRADES[1:], trades_count=1)
    assert written(tmp_path, START, after, after) == [
        "2026-01-03 07:00Z SYNTHETIC trade short 0.52 lot 4010.000 -> 4071.000 -841.00 MYR: the stop loss was hit"
    ]


def test_trades_are_written_oldest_first_and_what_was_missed_is_counted(tmp_path: Path) -> None:
    lines = written(tmp_path, START, replace(START, trades=TRADES, trades_count=5))
    assert "3 earlier trades" in lines[0]
    assert " short " in lines[1]
    assert " long " in lines[2]
    assert len(lines) == 3


def test_a_resumed_run_does_not_repeat_old_trades(tmp_path: Path) -> None:
    assert written(tmp_path, FLAT, FLAT) == []


def test_a_breaker_is_one_line_when_it_trips_and_one_when_it_is_released(tmp_path: Path) -> None:
    real = replace(START, synthetic=False)
    tripped = replace(real, breakers=(BreakerView(Reason.LOSS_STREAK, NOON_MS + 4 * HOUR_MS),))
    halted = replace(real, breakers=(BreakerView(Reason.HALT_DRAWDOWN, 0),))
    later = replace(tripped, clock_ms=NOON_MS + HOUR_MS)
    assert written(tmp_path, real, tripped, later, halted, real) == [
        "2026-01-05 12:00Z breaker LOSS_STREAK for 4h: too many losses in a row: cooling down",
        "2026-01-05 12:00Z breaker HALT_DRAWDOWN until re-armed: halted: the drawdown limit was reached",
        "2026-01-05 12:00Z breaker LOSS_STREAK released",
        "2026-01-05 12:00Z breaker HALT_DRAWDOWN released",
    ]


def test_a_dry_run_says_so_in_every_line_and_shows_the_accounts_own_currency(tmp_path: Path) -> None:
    dry = replace(START, mode="LIVE DRY RUN", synthetic=False, currency="USD")
    after = replace(dry, trades=TRADES[1:], trades_count=1)
    assert written(tmp_path, dry, after) == [
        "2026-01-03 07:00Z LIVE DRY RUN trade short 0.52 lot 4010.000 -> 4071.000 -841.00 USD: the stop loss was hit"
    ]


def test_a_market_that_is_closed_is_told_once_with_its_next_opening(tmp_path: Path) -> None:
    real = replace(START, mode="DEMO DRY RUN", synthetic=False)
    shut = replace(real, opens_ms=NOON_MS + 10 * HOUR_MS)
    assert written(tmp_path, shut, shut, real, real) == [
        "2026-01-05 12:00Z DEMO DRY RUN market closed, opens 2026-01-05 22:00Z",
        "2026-01-05 12:00Z DEMO DRY RUN market open",
    ]
