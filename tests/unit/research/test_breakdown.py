"""Trades in groups, and whether a group stands out of all that were looked at."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.research.breakdown import GROUP_MIN, NOT_KNOWN_BEFORE, Breakdown, Group, breakdowns
from palmbot.research.moments import MOMENT
from palmbot.research.sweep_ledger import Rows


def moments(count: int, seed: int = 1) -> Rows:
    """Return trades whose results have nothing to do with anything."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, MOMENT)
    rows["r"] = rng.standard_normal(count)
    rows["pnl_minor"] = np.rint(100 * rows["r"])
    rows["hour"], rows["weekday"] = rng.integers(10, 18, count), rng.integers(0, 5, count)
    rows["opened_minute"] = np.where(rows["hour"] < 13, 630, 870)
    rows["volatility_pct"], rows["bars_held"] = rng.random(count), rng.integers(1, 60, count)
    return rows


def part(found: tuple[Breakdown, ...], name: str) -> Breakdown:
    return next(each for each in found if each.name == name)


def group(found: tuple[Breakdown, ...], name: str, label: str) -> Group:
    return next(each for each in part(found, name).groups if each.label == label)


def test_every_trade_is_in_one_group_of_each_table() -> None:
    found = breakdowns(moments(200), 1)
    assert [sum(each.trades for each in table.groups) for table in found] == [200] * 5


def test_a_group_has_the_numbers_of_its_trades() -> None:
    rows = moments(200)
    fridays = rows[rows["weekday"] == 4]
    friday = group(breakdowns(rows, 1), "weekday of entry", "Friday")
    won, lost = fridays[fridays["pnl_minor"] > 0], fridays[fridays["pnl_minor"] < 0]
    assert friday.trades == len(fridays)
    assert friday.profit_factor == won["pnl_minor"].sum() / -lost["pnl_minor"].sum()
    assert friday.mean_r == pytest.approx(fridays["r"].mean())
    assert friday.net_minor == fridays["pnl_minor"].sum()


def test_sessions_are_named_by_when_they_open() -> None:
    labels = [each.label for each in part(breakdowns(moments(100), 1), "session of entry").groups]
    assert labels == ["from 10:30", "from 14:30"]


def test_a_group_that_differs_stands_out() -> None:
    rows = moments(200)
    rows["r"][rows["weekday"] == 4] += 2.0
    found = breakdowns(rows, 1)
    assert (group(found, "weekday of entry", "Friday").p or 1) < 0.01


def test_among_many_groups_of_chance_one_rarely_stands_out() -> None:
    alarms = 0
    for seed in range(20):
        found = breakdowns(moments(150, seed), seed)
        alarms += any((each.p or 1) < 0.05 for table in found for each in table.groups)
    assert alarms <= 4  # of 20 at 5 %: more has a probability of 0.003


def test_time_held_is_an_outcome_and_never_judged() -> None:
    rows = moments(200)
    rows["r"][rows["bars_held"] > 20] += 3.0
    assert {each.p for each in part(breakdowns(rows, 1), NOT_KNOWN_BEFORE).groups} == {None}


def test_small_groups_are_shown_and_not_judged() -> None:
    rows = moments(60)
    rows["weekday"] = 0
    rows["weekday"][: GROUP_MIN - 1] = 1
    tuesday = group(breakdowns(rows, 1), "weekday of entry", "Tuesday")
    assert (tuesday.trades, tuesday.p) == (GROUP_MIN - 1, None)


def test_no_trades_have_no_tables() -> None:
    assert breakdowns(moments(0), 1) == ()


def test_results_that_do_not_vary_cannot_be_judged() -> None:
    rows = moments(60)
    rows["r"] = 1.0
    assert {each.p for table in breakdowns(rows, 1) for each in table.groups} == {None}
