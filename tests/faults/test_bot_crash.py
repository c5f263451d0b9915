"""`palmbot run` killed with -9 and started again: a generated market at high speed, real processes, real files."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.paper_bot import EXITS, LIVELY, TREND, Exchange, Journal, PaperBot, sets

from palmbot.core.bars import Forming
from palmbot.exchange.candles import joined
from palmbot.instruments import PALM_OIL
from palmbot.units import HOUR_MS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TRADES = (*TREND, *sets(*LIVELY, *EXITS, "losses_max=0", "drawdown=0%", "daily_loss=0%", "spike=0%"))
KILLS = 5
SLOW, FAST = "20000", "120000"  # market seconds a second: an hour in 0.18 s, or in 0.03 s


def exchange_of(bot: PaperBot) -> Exchange:
    return Exchange(bot.data, bot.folder / "aside")


def assert_agree(folder: Path) -> None:
    """Assert that the journal and the exchange's books tell one story of a bot that has stopped in order."""
    data = folder / "palmbot-data"
    journal, exchange = Journal(data), Exchange(data, folder / "aside")
    assert journal.trades() == exchange.closed()  # one row for each position that closed, to the cent
    assert journal.open_positions() == exchange.open_positions()
    assert len(exchange.open_positions()) <= 1
    entries = [bar for bar, _ in journal.entries()]
    assert len(set(entries)) == len(entries), "a bar was entered twice"
    labels = {label for _, label in journal.entries()}
    taken = {row[0] for row in exchange.rows("SELECT client_order_id FROM orders WHERE kind = 1 AND closing = 0")}
    assert taken <= labels, "an order was sent that the journal does not know"
    assert journal.events("run_stopped")[-1]["balance_minor"] == exchange.balance()


def assert_no_bar_is_lost(folder: Path) -> None:
    """Assert that the journal has every bar of the exchange's price history once, in order, with its prices."""
    data = folder / "palmbot-data"
    bars = Journal(data).bars()
    ends = [bar[0] for bar in bars]
    assert ends == sorted(set(ends))
    found = Exchange(data, folder / "aside").rows("SELECT ts_ms, 0, open_px, high_px, low_px, close_px FROM candles")
    pieces = [Forming(*row) for row in sorted(found)]
    spec = PALM_OIL
    sent = joined(pieces, HOUR_MS, spec.core.day_start_ms, pieces[-1].ts_ms)
    closed = {bar.ts_ms // HOUR_MS * HOUR_MS + HOUR_MS: bar for bar in sent[:-1]}
    ours = {bar[0]: bar[1:] for bar in bars if bar[0] >= min(closed)}
    missing = sorted(set(closed) - set(ours))
    assert missing == [], f"{len(missing)} of {len(closed)} bars are not in the journal"
    different = [
        (end_ms, ours[end_ms], (bar.open_px, bar.high_px, bar.low_px, bar.close_px))
        for end_ms, bar in closed.items()
        if ours[end_ms] != (bar.open_px, bar.high_px, bar.low_px, bar.close_px)
    ]
    assert different == []


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
