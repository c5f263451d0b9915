"""What a winner must bear: costs, neighbours, data that end early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted
from tests.sample_study import sample_data, searcher_of

from palmbot.core.tape import REFUSAL_COLUMNS, Entry, Tape
from palmbot.core.types import Instrument, Params, SentimentArrays
from palmbot.core.world import Outcome
from palmbot.research import stress
from palmbot.research.backtest import replayed
from palmbot.research.result import DataSet
from palmbot.research.search import Search
from palmbot.research.stress import cost_stress, plateau, sees_ahead, with_costs
from palmbot.research.sweep_ledger import RESULT
from palmbot.research.sweep_params import grid_of
from palmbot.research.walkforward import Choice, series_of, unseen, walk_forward, whole
from palmbot.research.windows import ROLLING, spans_of


def test_every_charge_is_multiplied_and_a_swap_that_pays_is_not() -> None:
    data = sample_data()
    core = Instrument(
        spread=200_000,
        slippage=50_000,
        commission_rate=7,
        commission_min_minor=10,
        conversion_fee_bp=20,
        swap_long=-300,
        swap_short=100,
    )
    dear = with_costs(replace(data, spec=replace(data.spec, core=core)), 4.0).spec.core
    assert dear == core._replace(
        spread=800_000,
        slippage=200_000,
        commission_rate=28,
        commission_min_minor=40,
        conversion_fee_bp=80,
        swap_long=-1_200,
    )


def test_costs_are_borne_by_the_same_trades_and_at_x_1_nothing_changes() -> None:
    data = sample_data()
    chosen = tuple(Choice(span, BASE, None) for span in spans_of(3_000, BASE.warmup_bars, 4, ROLLING, 20))
    stressed = cost_stress(data, BASE, chosen, BALANCE_MINOR)
    assert [each.factor for each in stressed] == [0.5, 1.0, 2.0, 4.0]
    assert stressed[1].in_sample == whole(data, BASE, BALANCE_MINOR)[1]
    assert stressed[1].out_of_sample == unseen(data, chosen, BALANCE_MINOR)
    assert stressed[1].out_of_sample == walk_forward(data, ROLLING, chosen, BALANCE_MINOR, 1).tally
    nets = [each.in_sample.net_minor for each in stressed]
    assert nets == sorted(nets, reverse=True)
    assert nets[0] > nets[3]


def search_of(factors: dict[tuple[float, float], float]) -> Search:
    """Return a search whose combination (rsi_low, rsi_high) has a profit factor; below 0: too few trades."""
    table = grid_of(Params(), {"rsi_low": [20.0, 25.0, 30.0], "rsi_high": [60.0, 70.0, 80.0]})
    results = np.zeros(table.shape[0], RESULT)
    results["trades"], results["wins"], results["loss_minor"] = 100, 50, 1_000
    for row, each in enumerate(table):
        factor = factors.get((float(each["rsi_low"]), float(each["rsi_high"])), 1.0)
        results["profit_minor"][row] = round(abs(factor) * 1_000)
        results["trades"][row] = 100 if factor > 0 else 5
    return Search(table, results)


def test_neighbours_are_one_step_away_at_most_in_every_axis() -> None:
    corner = plateau(search_of({(20.0, 60.0): 3.0, (25.0, 60.0): 2.0, (20.0, 70.0): 1.5, (25.0, 70.0): -9.0}))
    assert corner is not None
    assert corner.neighbours == 3  # of the four around the corner one is too rare to count: its edge ends there
    assert corner.median_profit_factor == pytest.approx(1.5)
    assert corner.score > (corner.median_score or 0.0)
    middle = plateau(search_of({(25.0, 70.0): 3.0}))
    assert middle is not None
    assert (middle.neighbours, middle.median_profit_factor) == (8, 1.0)


def test_a_grid_of_one_has_no_neighbours_and_a_search_without_a_winner_no_plateau() -> None:
    alone = plateau(searcher_of({})(series_of(sample_data())))
    assert alone is not None
    assert (alone.neighbours, alone.median_score, alone.median_profit_factor) == (0, None, None)
    results = np.zeros(1, RESULT)
    assert plateau(Search(grid_of(Params(), {}), results)) is None


@pytest.mark.parametrize("params", [BASE, BASE._replace(trail_ppm=8_000, max_bars=40), BASE._replace(sl_ppm=60_000)])
def test_rules_that_know_the_past_alone_do_not_see_ahead(params: Params) -> None:
    rng = np.random.default_rng(1)
    data = sample_data()
    sentiment = SentimentArrays(data.bars.end_ms[::3].copy(), np.asarray(rng.uniform(-100, 100, 1_000), np.float64))
    moody = replace(data, sentiment=sentiment)
    choosy = params._replace(sentiment_long=0.0, sentiment_short=0.0)
    assert not sees_ahead(data, params, BALANCE_MINOR)
    assert not sees_ahead(moody, choosy, BALANCE_MINOR)


def test_rules_that_know_the_end_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def knowing(data: DataSet, params: Params, balance_minor: int) -> tuple[Outcome, Tape]:
        last = int(data.bars.close_px[-1]) // data.spec.core.step_px
        return replayed(data, params._replace(rsi_low=35.0 + last % 5), balance_minor)

    data = data_of(planted(3_000, 4))
    assert not sees_ahead(data, BASE, BALANCE_MINOR)
    monkeypatch.setattr(stress, "replayed", knowing)
    assert sees_ahead(data, BASE, BALANCE_MINOR)


def test_a_refusal_that_knows_the_end_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def knowing(data: DataSet, params: Params, balance_minor: int) -> tuple[Outcome, Tape]:
        outcome, tape = replayed(data, params, balance_minor)
        events = tape.events.copy()
        events[events[:, 0] == Entry.REFUSAL, REFUSAL_COLUMNS.index("reason")] += data.bars.ts_ms.shape[0]
        return outcome, tape._replace(events=events)

    monkeypatch.setattr(stress, "replayed", knowing)
    assert sees_ahead(sample_data(), BASE, BALANCE_MINOR)
