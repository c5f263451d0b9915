"""`palmbot run` killed with -9 and started again: a generated market at high speed, real processes, real files."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.paper_bot import (
    EXITS,
    LIVELY,
    TREND,
    Exchange,
    Journal,
    PaperBot,
    assert_agree,
    assert_no_bar_is_lost,
    sets,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TRADES = (*TREND, *sets(*LIVELY, *EXITS, "losses_max=0", "drawdown=0%", "daily_loss=0%", "spike=0%"))
KILLS = 5
SLOW, FAST = "20000", "120000"  # market seconds a second: an hour in 0.18 s, or in 0.03 s


def exchange_of(bot: PaperBot) -> Exchange:
    return Exchange(bot.data, bot.folder / "aside")


def test_a_killed_bot_takes_its_position_over_and_trades_on(tmp_path: Path) -> None:
    position = 0
    for _ in range(10):  # until the kill meets an open position
        with PaperBot(tmp_path, *TRADES, "--speed", SLOW) as bot:
            journal = Journal(bot.data)
            before = journal.count("events")
            bot.until(lambda: journal.count("events") > before and journal.open_positions())  # noqa: B023 - used at once
            bot.kill()
        if exchange_of(bot).open_positions():
            (position,) = exchange_of(bot).open_positions()
            break
    assert position, "no kill met an open position"
    entries, trades = journal.entries(), journal.trades()
    with PaperBot(tmp_path, *TRADES, "--speed", "max") as bot:
        bot.until(lambda: position in journal.trades())
        closed = journal.entries()
        assert [entry for entry in closed if entry[0] == entries[-1][0]] == [entries[-1]], "its bar was entered again"
        bot.until(lambda: len(journal.trades()) > len(trades) + 2)
        ended = bot.stop()
    assert (ended.code, ended.err) == (0, "")
    assert_agree(tmp_path)
    assert_no_bar_is_lost(tmp_path)
    assert journal.trades()[position] == exchange_of(bot).closed()[position]
    label = dict(
        exchange_of(bot).rows("SELECT position_id, client_order_id FROM orders WHERE kind = 1 AND closing = 0")
    )
    assert label[position] == entries[-1][1]


@pytest.mark.parametrize("seed", range(2))
def test_a_bot_that_is_killed_at_any_moment_again_and_again_loses_nothing(tmp_path: Path, seed: int) -> None:
    rng = Random(f"kills:{seed}")
    words = (*TRADES, "--set", f"run.seed={seed}", "--speed")
    for _ in range(KILLS):
        with PaperBot(tmp_path, *words, FAST) as bot:
            journal = Journal(bot.data)
            wanted = journal.count("events") + rng.randint(3, 80)
            bot.until(lambda: journal.count("events") > wanted)  # noqa: B023 - used at once
            bot.kill()
    trades = len(journal.trades())
    with PaperBot(tmp_path, *words, "max") as bot:  # in lock-step, so that nothing happens after the last word
        bot.until(lambda: len(journal.trades()) > trades + 2)
        ended = bot.stop()
    assert (ended.code, ended.err) == (0, "")
    assert len(journal.events("run_started")) == KILLS + 1
    assert_agree(tmp_path)
    assert_no_bar_is_lost(tmp_path)
