"""A rule that is wrong on one side, the bot's or the exchange's, is caught by the comparison (PARITY 66)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.oracle.worlds import world_of
from tests.parity.mutants import Mutant, judged, mutated_source
from tests.parity.pair import Rig, differences, told_by_backtest, told_by_bot
from tests.parity.test_parity_worlds import on_grid, series_of

from palmbot.core.types import BarArrays
from palmbot.research import backtest

CHECK = ("-m", "tests.parity.check", "180", "120")
FEED, HELD, MATCHING, ENGINE, BROKER, TRADER = (
    "exchange/feed.py",
    "exchange/held.py",
    "exchange/matching.py",
    "exchange/engine.py",
    "exchange/broker.py",
    "live/trader.py",
)
TELL = "            self._tell(told)\n"
QUOTE = (
    "            for symbol_id, each in moved:\n"
    "                for listener in self._listeners:\n"
    "                    listener.spot(symbol_id, each)\n"
)
MUTANTS = (
    Mutant("favourable extreme first", FEED, "self._high_first = side < 0", "self._high_first = side > 0"),
    Mutant(
        "stop filled at the tick instead of its level",
        HELD,
        "protective_fill(held.guard, tick.bid_px, spread_px, slippage_px, tick.is_jump)",
        "protective_fill(held.guard, tick.bid_px, spread_px, slippage_px, True)",
    ),
    Mutant("breakers before stops", ENGINE, f"{TELL}{QUOTE}", f"{QUOTE}{TELL}"),
    Mutant(
        "peak moved on every tick",
        TRADER,
        "        self._curve_minor = equity\n",
        "        self._curve_minor = equity\n"
        "        self._guards(breakers.with_peak(self.state.breakers, max(self.state.breakers.peak_minor, equity)))\n",
    ),
    Mutant(
        "cooldown counted from the exit tick",
        TRADER,
        "params, end_ms = self.rules.params, self.feed.end_of(ts_ms)",
        "params, end_ms = self.rules.params, ts_ms",
    ),
    Mutant(
        "distance taken from the quote instead of the fill",
        MATCHING,
        "levels_of(asked, held.side, strike.price_px)",
        "levels_of(asked, held.side, strike.price_px - held.side * (2 * strike.slippage_px + strike.spread_px))",
    ),
    Mutant(
        "entry at the decision's close",
        FEED,
        "            bid_px = open_px\n",
        "            bid_px = open_px if index == 0 else self._close_px[index - 1]\n",
    ),
    Mutant(
        "bid and ask swapped",
        BROKER,
        "Quote(self._symbol, tick.ts_ms, tick.bid_px, tick.ask_px, tick.rate_e8)",
        "Quote(self._symbol, tick.ts_ms, tick.ask_px, tick.bid_px, tick.rate_e8)",
    ),
    Mutant("bars held not counted", TRADER, "            self.bars_held += 1\n", "            self.bars_held += 0\n"),
)  # fmt: skip


def name_of(mutant: Mutant) -> str:
    """Return the name of ``mutant`` for pytest's output."""
    return mutant.name


def test_the_unchanged_sides_agree_in_the_check_that_catches_mutants(tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, None), CHECK)
    assert (verdict.returncode, verdict.stdout) == (0, ""), verdict.stdout + verdict.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_rule_that_is_wrong_on_one_side_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, mutant), CHECK)
    assert verdict.returncode == 1, f"nobody noticed: {mutant.name}\n{verdict.stderr}"
    assert "differs" in verdict.stdout, verdict.stderr  # and did not merely break


def test_a_closing_print_kept_on_one_side_is_caught() -> None:
    noticed = 0
    for seed in range(12):
        world = on_grid(world_of(Random(f"parity:{seed}")))
        series = series_of(world)
        if series is None:
            continue
        kept = _with_print(series.bars)
        mine = told_by_backtest(backtest.run(series, "rsi_sentiment", world.run.params, world.balance_minor))
        rig = Rig(world.run.params, world.balance_minor)
        noticed += bool(differences(mine, told_by_bot(replace(series, bars=kept), rig)))
    assert noticed > 5


def _with_print(bars: BarArrays) -> BarArrays:
    """Return ``bars`` with the last one repeated after its end, flat at its close: a print outside the session."""
    period_ms = int(bars.end_ms[-1] - bars.end_ms[-2])
    close_px = int(bars.close_px[-1])
    added = (int(bars.end_ms[-1]), int(bars.end_ms[-1]) + period_ms, close_px, close_px, close_px, close_px)
    columns = [np.append(column, value) for column, value in zip(bars[:6], added, strict=True)]
    rates = np.append(bars.rate_e8, bars.rate_e8[-1:])
    ts, end, opens, highs, lows, closes = columns
    return BarArrays(ts, end, opens, highs, lows, closes, rates)
