"""The study: everything about one search, by its seed alone; an interrupt keeps what there is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from bench.planted import BALANCE_MINOR, BASE, data_of, planted, walk
from tests.sample_study import BARS, sample_data, sample_study, searched, searcher_of, settings_of

from palmbot.errors import DataError
from palmbot.research import backtest, overfit
from palmbot.research import study as studies
from palmbot.research.day_returns import day_returns
from palmbot.research.search import Search
from palmbot.research.statistics import summarize
from palmbot.research.study import STAGES, Searched, Study, study
from palmbot.research.sweep import Series
from palmbot.research.sweep_params import grid_of
from palmbot.research.walkforward import series_of


def quiet(_stage: str, _share: float) -> None:
    """Show nothing."""


def test_every_part_of_the_evidence_is_there_and_fits_the_others() -> None:
    made = sample_study()
    evidence, run = made.evidence, made.run
    assert run is not None
    assert run.trades == backtest.run(sample_data(), "rsi_sentiment", run.params, BALANCE_MINOR).trades
    summary = summarize(run, sample_data())
    inside = made.in_sample
    assert inside is not None
    assert (inside.trades, inside.win_rate, inside.profit_factor) == (
        summary.trades,
        summary.win_rate,
        summary.profit_factor,
    )
    assert (inside.max_drawdown_pct, inside.drawdown_at_1pct_pct, inside.geometry_win_rate) == (
        summary.max_drawdown_pct,
        summary.max_drawdown_at_1pct_risk_pct,
        summary.win_rate_geometry,
    )
    assert (evidence.trials, evidence.trades, evidence.days) == (16, summary.trades, summary.days)
    assert evidence.rolling is not None
    assert evidence.anchored is not None
    assert [(each.kind, len(each.windows)) for each in (evidence.rolling, evidence.anchored)] == [
        ("rolling", 4),
        ("anchored", 4),
    ]
    assert {window.train_from for window in evidence.anchored.windows} == {BASE.warmup_bars}
    assert len({window.train_from for window in evidence.rolling.windows}) == 4
    assert evidence.shuffled is not None
    assert evidence.sign_flipped is not None
    assert [evidence.shuffled.count, evidence.sign_flipped.count] == [19, 19]
    assert [each.factor for each in evidence.costs] == [0.5, 1.0, 2.0, 4.0]
    assert evidence.sees_ahead is False
    assert evidence.plateau is not None
    assert evidence.fan is not None
    assert len(evidence.targets) == 3
    assert made.unexamined == ()


def test_the_sharpe_ratios_are_those_of_all_trials() -> None:
    made = sample_study()
    best = made.search.best
    assert best is not None
    returns = day_returns(series_of(sample_data()), made.search.table, BALANCE_MINOR)
    sharpes = overfit.sharpes_of(returns)
    assert made.evidence.deflated_sharpe == overfit.deflated_sharpe(returns[:, best], sharpes)
    assert made.evidence.probabilistic_sharpe == overfit.probabilistic_sharpe(returns[:, best])
    assert made.evidence.expected_max_sharpe == overfit.max_sharpe_by_luck(sharpes)
    split = overfit.pbo(returns)
    assert split is not None
    assert made.evidence.pbo == split.value


def test_the_spread_of_a_guided_search_is_that_of_the_trials_that_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "SPREAD_TRIALS_MIN", 5)
    whole = sample_study()
    sharpes = overfit.sharpes_of(day_returns(series_of(sample_data()), whole.search.table, BALANCE_MINOR))
    for drawn, told in ((None, sharpes), (5, sharpes[:5]), (4, sharpes)):  # four say too little
        search = replace(whole.search, drawn=drawn)
        found = study(sample_data(), searcher_of(), BASE, settings_of(), quiet, Searched(search, 0.0))
        assert found.evidence.expected_max_sharpe == overfit.max_sharpe_by_luck(told, 16)


def test_the_answer_is_the_same_every_time_on_any_number_of_threads() -> None:
    again = study(sample_data(), searcher_of(), BASE, replace(settings_of(), threads=3), quiet)
    assert json.dumps(again.to_json()) == json.dumps(sample_study().to_json())
    assert again.text() == sample_study().text()
    other = study(sample_data(), searcher_of(), BASE, settings_of(seed=2), quiet)
    assert other.to_json()["surrogates"] != sample_study().to_json()["surrogates"]


def test_progress_rises_and_names_every_stage() -> None:
    told: list[tuple[str, float]] = []
    study(sample_data(), searcher_of(), BASE, settings_of(), lambda *each: told.append(each))
    shares = [share for _stage, share in told]
    assert shares == sorted(shares)
    assert (told[0], told[-1]) == (("search", 0.0), ("done", 1.0))
    assert list(dict.fromkeys(stage for stage, _share in told)) == ["search", *(name for name, *_ in STAGES), "done"]


def interrupted(at: int) -> Study:
    """Return a study that is interrupted at the call ``at`` of its searcher."""
    calls = 0

    def searcher(series: Series) -> Search:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return searched(table, series)

    table = grid_of(BASE, {"rsi_low": [30.0, 35.0]})
    return study(sample_data(), searcher, BASE, settings_of(), quiet)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (3, [name for name, *_ in STAGES]),  # within the walk-forward
        (12, ["shuffled prices", "sign-flipped prices"]),
        (40, ["sign-flipped prices"]),
    ],
)
def test_an_interrupt_keeps_what_was_found_and_the_verdict_says_what_is_missing(at: int, left: list[str]) -> None:
    made = interrupted(at)
    assert list(made.unexamined) == left
    assert made.verdict.word == "NOISE"
    assert left[0] in made.verdict.reasons[0]
    assert made.run is not None
    assert (made.evidence.shuffled is None) == ("shuffled prices" in left)
    assert json.loads(json.dumps(made.to_json(), allow_nan=False))["unexamined"] == left
    assert "NOISE" in made.text()


def test_an_interrupt_of_the_search_itself_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(1)


def test_a_search_that_was_carried_out_before_is_taken_and_one_cut_short_is_not_examined() -> None:
    data, search = sample_data(), searcher_of()
    found = search(series_of(data))
    whole = study(data, search, BASE, settings_of(), quiet, Searched(found, 2.0))
    assert whole.evidence.shuffled is not None
    assert whole.to_json()["bar_combinations_per_s"] == BARS * 16 / 2.0
    part = Search(found.table[:5], found.results[:5], found.trades_min)
    cut = study(data, search, BASE, settings_of(), quiet, Searched(part, 1.0, is_whole=False))
    assert cut.unexamined == tuple(name for name, *_ in STAGES)
    assert (cut.verdict.word, cut.evidence.trials) == ("NOISE", 5)
    assert cut.to_json()["best"]["trades"] > 0


def test_too_few_bars_are_refused_before_the_search_and_said_after_it() -> None:
    data = data_of(walk(300, 1))

    def never(_series: Series) -> Search:
        raise AssertionError

    with pytest.raises(DataError, match="WALK_FORWARD_TOO_FEW_BARS"):
        study(data, never, BASE, settings_of(), quiet)
    small = data_of(planted(700, 2))
    table = grid_of(BASE, {})

    def lenient(series: Series) -> Search:
        return replace(searched(table, series), trades_min=1)

    made = study(small, lenient, BASE, settings_of(windows=15), quiet, Searched(lenient(series_of(small)), 1.0))
    assert made.evidence.rolling is None
    assert made.verdict.word == "NOISE"
    assert "too few trades" in made.verdict.reasons[1]


def test_a_grid_of_one_is_examined_and_what_it_cannot_say_is_unknown() -> None:
    made = study(sample_data(), searcher_of({}), BASE, settings_of(), quiet)
    assert made.search.trials == 1
    assert made.evidence.pbo is None
    assert made.evidence.expected_max_sharpe == 0.0
    assert made.evidence.plateau is not None
    assert made.evidence.plateau.neighbours == 0
    assert made.verdict.word != "ROBUST"


@pytest.mark.parametrize("changes", [{"sentiment_long": 200.0, "sentiment_short": -200.0}, {"rsi_low": 5.0}])
def test_rules_that_never_or_rarely_trade_are_noise_and_say_so(changes: dict[str, float]) -> None:
    axes = {name: [value] for name, value in changes.items()} | {"rsi_high": [95.0, 96.0]}
    made = study(sample_data(), searcher_of(axes), BASE, settings_of(), quiet)
    assert made.verdict.word == "NOISE"
    assert "None of the 2 combinations" in made.verdict.reasons[0]
    assert made.to_json()["best"] is None
    assert made.run is None
    assert made.text().startswith("SYNTHETIC market\nNOISE\nNone of the 2")


def test_accounts_that_a_broker_would_close_are_never_picked() -> None:
    reckless: dict[str, list[float]] = {
        "risk_fraction": [50.0],
        "exposure_max": [19.0],
        "margin_share": [1.0],
        "sl_ppm": [500_000],
    }
    search = searcher_of({**reckless, "daily_loss_bp": [0], "drawdown_bp": [0], "tp_ppm": [5_000], "losses_max": [0]})
    found = search(series_of(sample_data()))
    assert (found.results["stopped_out_ms"] != 0).all()
    made = study(sample_data(), search, BASE, settings_of(), quiet, Searched(found, 1.0))
    assert made.verdict.word == "NOISE"
    assert made.run is None


def test_no_number_of_the_json_is_more_than_json_knows() -> None:
    body = json.loads(json.dumps(sample_study().to_json(), allow_nan=False))
    contract = {"trials", "bars", "seconds", "bar_combinations_per_s", "best", "verdict", "reasons", "walk_forward"}
    assert contract | {"pbo", "dsr", "p_shuffled"} <= body.keys()
    assert {"params", "score", "profit_factor", "win_rate", "max_drawdown_pct", "trades"} <= body["best"].keys()
    assert len(body["walk_forward"]["rolling"]["windows"]) == 4
    assert body["best"]["params"] == sample_study().run.params._asdict()  # type: ignore[union-attr]


def test_seconds_are_the_clocks() -> None:
    ticks = iter(np.arange(10.0))
    made = study(sample_data(), searcher_of({}), BASE, replace(settings_of(), clock=lambda: float(next(ticks))), quiet)
    assert (made.search_seconds, made.seconds) == (1.0, 2.0)
