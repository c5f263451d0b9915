"""A real bot on a real exchange in lock-step while somebody disturbs it, and the name that each disturbance gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from bench.planted import data_of, walk
from tests.parity.pair import Rig, about_run

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.database import sqlite_url
from palmbot.adapters.journal import Journal
from palmbot.bootstrap.parity import ParityReport, run_parity
from palmbot.calendar import Session
from palmbot.core.types import Params, Profile, Reason
from palmbot.errors import UsageError
from palmbot.exchange.books import Books
from palmbot.exchange.broker import ACCOUNT_ID, Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import LOCK_STEP
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import FeedTick, FileFeed
from palmbot.exchange.held import Held
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import LockStep
from palmbot.exchange.values import AmendPosition, CashKind, ClosePosition, Told
from palmbot.live.inbox import Inbox
from palmbot.live.rules import Rules
from palmbot.live.runner import Runner, Wires
from palmbot.live.trader import Trader
from palmbot.orders.book import Book
from palmbot.orders.identity import Owner
from palmbot.orders.records import intent_of, order_event_of
from palmbot.research.lived import touched_by_hand
from palmbot.research.parity import Parity
from palmbot.research.result import DataSet
from palmbot.sentiment.timeline import Timeline
from palmbot.settings import Settings
from palmbot.units import HOUR_MS

BALANCE_MINOR: Final = 100_000_000
RULE: Final = Params(
    profile=int(Profile.RSI_TREND),
    rsi_low=45.0,
    rsi_high=55.0,
    stop_kind=1,
    max_bars=12,
    warmup_bars=30,
    losses_max=0,
    drawdown_bp=0,
    daily_loss_bp=0,
    spike_bp=0,
    open_gap_max_bp=0,
)
QUICK: Final = RULE._replace(max_bars=0, sl_atr=1.0, tp_atr=1.5)  # the broker's orders end each trade
MADE: Final = data_of(walk(320, 1))
DATA: Final = replace(MADE, spec=replace(MADE.spec, session=Session()))
ALL: Final = (0, 1 << 52)

Act = Callable[[Engine, Held], object]


class Quiet:
    """Listens to the market and hears nothing."""

    def told(self, account_id: int, told: Told) -> None:
        """Nothing."""

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Nothing."""

    def ended(self) -> None:
        """Nothing."""


class Person(Quiet):
    """Acts once, at the ``after``-th tick at which the bot holds a position."""

    def __init__(self, engine: Engine, act: Act, after: int) -> None:
        self.engine, self.act, self.left = engine, act, after

    def spot(self, symbol_id: int, tick: FeedTick) -> None:  # noqa: ARG002 - the port's signature
        """Count, and act between this tick and the next."""
        held = self.engine.venue.accounts[ACCOUNT_ID].open
        self.left -= len(held)
        if held and self.left == 0:
            asyncio.get_running_loop().call_soon(lambda: self.act(self.engine, held[0]))


class Stopper(Quiet):
    """Stops the bot once something is true of it."""

    def __init__(self, runner: Runner, is_over: Callable[[Trader], bool]) -> None:
        self.runner, self.is_over = runner, is_over

    def spot(self, symbol_id: int, tick: FeedTick) -> None:  # noqa: ARG002 - the port's signature
        """Look at what all ticks before this one have led to."""
        if self.is_over(self.runner.trader):
            self.runner.stop("the test has seen enough")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bot, until the feed ends or ``until`` is true of it."""

    params: Params = RULE
    act: Act | None = None
    after: int = 100
    exchange: DataSet = DATA
    until: Callable[[Trader], bool] | None = None


async def traded(folder: Path, *runs: Run) -> None:
    """Let the real runner trade in lock-step, one run after the other on the same journal and books."""
    for run in runs:
        spec, series = DATA.spec, run.exchange
        journal, books = (
            Journal.open(sqlite_url(folder / "journal.sqlite"), inline=True),
            Books(folder / "books.sqlite"),
        )
        inbox, pacer = Inbox(period_ms=series.period_ms, day_start_ms=spec.core.day_start_ms), LockStep()
        feed = FileFeed(series.spec.core, series.bars, series.rolls, books.feed_state())
        catalogue = catalogue_of(series.spec)
        account = plain_account(ACCOUNT_ID, catalogue, BALANCE_MINOR)
        engine = opened(Opening(catalogue, (account,), LOCK_STEP), feed, books, pacer)
        if run.act is not None:
            engine.add_listener(Person(engine, run.act, run.after))
        owner = Owner("test", "rsi_trend", spec.symbol, 1)
        trader = Trader(
            Rules(run.params, spec.core, series.period_ms, Session()), Book(owner, BALANCE_MINOR), Timeline(())
        )
        broker = Broker(engine, inbox)
        about = about_run(Rig(run.params, BALANCE_MINOR), spec) | {"period_ms": series.period_ms}
        runner = Runner(trader, Wires(broker, broker, journal, pacer, SystemClock()), inbox, about)
        market = asyncio.create_task(engine.run())
        if run.until is not None:
            engine.add_listener(Stopper(runner, run.until))
        await runner.run(engine.start)
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        await journal.close()
        books.close()


def bars(count: int) -> Callable[[Trader], bool]:
    """Return whether so many bars have closed."""
    return lambda trader: trader.state is not None and trader.state.indicators.bars >= count


def in_a_trade(trader: Trader) -> bool:
    """Return whether the second position is held for some bars, and in the middle of one."""
    return trader.trades_count >= 1 and trader.bars_held >= 3 and trader.book.holding is not None


def just_entered(trader: Trader) -> bool:
    """Return whether the bar that decided on the open position was the last to close."""
    return trader.trades_count >= 1 and trader.bars_held == 0 and trader.book.holding is not None


def just_left(trader: Trader) -> bool:
    """Return whether a time exit was the last thing that happened, on the first tick of the bar that is forming."""
    forming = trader.feed.forming
    last = trader.trades[0] if trader.trades else None
    return bool(last and forming and last.exit_reason == Reason.TIME and last.exit_ms == forming.ts_ms)


def reported(folder: Path, span_ms: tuple[int, int] = ALL) -> ParityReport:
    settings = Settings(folder, "rsi_trend", Params(), DATA.spec, BALANCE_MINOR)
    return run_parity(settings, folder, span_ms, lambda *_: None)


def compared(folder: Path, *runs: Run, span_ms: tuple[int, int] = ALL) -> Parity:
    """Return the comparison after the runs."""
    asyncio.run(traded(folder, *runs))
    return reported(folder, span_ms).parity


def kinds(found: Parity) -> list[str]:
    return [each.kind for each in found.differences]


def paid(delta_minor: int) -> Act:
    kind = CashKind.DEPOSIT if delta_minor > 0 else CashKind.WITHDRAW
    return lambda engine, _held: engine.cash(ACCOUNT_ID, kind, delta_minor)


def closed(engine: Engine, held: Held) -> None:
    engine.request(ACCOUNT_ID, ClosePosition(held.position_id, held.volume_cu))


def half_closed(engine: Engine, held: Held) -> None:
    engine.request(ACCOUNT_ID, ClosePosition(held.position_id, held.volume_cu // 50 * 25))


def stop_moved(engine: Engine, held: Held) -> None:
    last = engine.venue.last(held.symbol_id)
    assert last is not None
    levels = held.levels
    near_px = last.bid_px - held.side * 5_000 * DATA.spec.core.step_px
    engine.request(ACCOUNT_ID, AmendPosition(held.position_id, near_px, levels.tp_px))


def test_an_undisturbed_run_has_no_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, Run())
    assert kinds(found) == []
    assert found.equal == len(found.lived) > 10


@pytest.mark.parametrize("delta_minor", [70_000_000, -60_000_000])
def test_cash_is_one_line_and_all_later_trades_still_compare(tmp_path: Path, delta_minor: int) -> None:
    found = compared(tmp_path, Run(act=paid(delta_minor)))
    assert kinds(found) == ["cash"]
    word, amount = ("deposit", "700,000") if delta_minor > 0 else ("withdrawal", "600,000")
    assert found.differences[0].detail.startswith(f"{word} of {amount}")
    assert found.equal == len(found.lived) == len(found.tested) > 10
    sizes = [each.volume_cu for each in found.lived]
    assert max(sizes) > 1.5 * min(sizes)  # it did change the sizes


def test_cash_outside_the_period_is_known_and_not_told(tmp_path: Path) -> None:
    whole = compared(tmp_path, Run(act=paid(70_000_000)))
    later = reported(tmp_path, (whole.differences[0].bar_end_ms + 1, ALL[1])).parity
    assert kinds(later) == []
    assert 0 < later.equal < whole.equal


def test_a_close_by_hand_is_manual(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(act=closed))
    assert kinds(found)[0] == "manual"
    assert found.differences[0].detail.startswith("closed by hand: ended by MANUAL")


def test_a_part_that_was_closed_by_hand_is_manual(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(act=half_closed))
    assert kinds(found)[0] == "manual"
    assert found.differences[0].detail.startswith("closed by hand")


def test_a_stop_that_was_moved_by_hand_is_manual(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(act=stop_moved))
    assert kinds(found)[0] == "manual"
    assert found.differences[0].detail.startswith("stop moved by hand")


async def touched(folder: Path) -> dict[int, str]:
    """Return what the journal says that a person did."""
    journal = Journal.open(sqlite_url(folder / "journal.sqlite"), inline=True)
    told = [order_event_of(each) for each in journal.events("order_event")]
    asked = [intent_of(each) for each in journal.events("intent")]
    await journal.close()
    return touched_by_hand(told, asked)


def test_stops_that_the_bot_trails_itself_are_nobody_s_hand(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(RULE._replace(trail_atr=1.5)))
    assert kinds(found) == []
    assert Reason.TRAIL in {each.exit_reason for each in found.lived}
    assert asyncio.run(touched(tmp_path)) == {}


def test_less_than_was_asked_for_is_a_partial_fill(tmp_path: Path) -> None:
    def thin(engine: Engine, _held: Held) -> None:
        conduct = engine.venue.conduct
        engine.venue.conduct = replace(conduct, knobs=replace(conduct.knobs, liquidity_cu=500))

    found = compared(tmp_path, Run(QUICK, act=thin))
    told = [each.detail for each in found.differences if each.kind == "partial fill"]
    assert told
    assert all(each.startswith("500 cu of ") for each in told)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("costs", {"commission_rate": 5_000}),
        ("costs", {"swap_long": -4_000_000, "swap_short": -4_000_000, "swap_kind": 1, "swap_period_ms": HOUR_MS}),
        ("spread", {"spread": 800}),
        ("slippage", {"slippage": 300}),
    ],
)
def test_other_terms_than_configured_have_their_names(tmp_path: Path, kind: str, changed: dict[str, int]) -> None:
    dear = replace(DATA, spec=replace(DATA.spec, core=DATA.spec.core._replace(**changed)))
    found = compared(tmp_path, Run(exchange=dear))
    assert kind in kinds(found)
    assert ("costs" in kinds(found)) == (kind == "costs")


def test_what_the_broker_rejects_is_a_reject(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(QUICK, lambda engine, _held: engine.venue.reject_next("NO_LIQUIDITY")))
    assert kinds(found)[0] == "reject"
    assert found.differences[0].detail == "refused: BROKER_REJECTED"


def test_a_trade_that_both_still_hold_is_no_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(until=in_a_trade))
    assert kinds(found) == []
    assert found.held is not None
    assert found.tested_held is not None
    assert found.held.entry_ms == found.tested_held.entry_ms
    assert found.equal == len(found.lived) > 0
    assert "Still open: one here and in the backtest." in reported(tmp_path).text()


def test_a_trade_that_only_the_backtest_still_holds_is_open_at_the_end(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(until=just_left))
    assert kinds(found) == ["open at the end"]
    assert found.differences[0].detail == "ended by TIME, still held in the backtest"
    assert (found.held, found.differences[0].pnl_minor) == (None, None)
    assert found.tested_held is not None
    assert found.equal == len(found.lived) - 1


def test_an_entry_that_the_last_bar_decided_is_open_at_the_end(tmp_path: Path) -> None:
    found = compared(tmp_path, Run(until=just_entered))
    assert kinds(found) == ["open at the end"]
    assert "the bars end with its decision" in found.differences[0].detail
    assert found.tested_held is None


def test_restarts_compare_as_one_run_and_other_rules_count_from_their_start(tmp_path: Path) -> None:
    later = RULE._replace(rsi_low=40.0, rsi_high=60.0)
    found = compared(tmp_path, Run(until=bars(100)), Run(until=bars(200)), Run(later))
    assert kinds(found) == []
    assert found.equal == len(found.lived) > 10


@pytest.mark.parametrize("span_ms", [(0, 1_000), (ALL[1] - 1, ALL[1]), (10**13, 10**13 + 1)])
def test_a_period_without_a_bar_says_which_bars_there_are(tmp_path: Path, span_ms: tuple[int, int]) -> None:
    asyncio.run(traded(tmp_path, Run(until=bars(60))))
    with pytest.raises(UsageError, match="NO_BARS: first_bar=") as told:
        reported(tmp_path, span_ms)
    assert "--from" in str(told.value)


def test_the_text_names_cash_without_a_side(tmp_path: Path) -> None:
    asyncio.run(traded(tmp_path, Run(act=paid(5_000_000))))
    told = reported(tmp_path)
    (line,) = [line for line in told.text().splitlines() if line.startswith("  cash")]
    assert line.endswith("deposit of 50,000.00: the backtest has it too from here on")
    assert told.to_json()["differences"][0]["side"] is None
