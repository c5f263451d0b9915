"""``best_params.json``: what it says of a study is what the study says."""

from __future__ import annotations

from dataclasses import replace

from tests.sample_study import sample_study

from palmbot.config.terms import costs_of
from palmbot.core.types import SentimentArrays
from palmbot.research.found import Method, document
from palmbot.research.known import fingerprint
from palmbot.research.verdict import decisive


def test_the_numbers_out_of_sample_are_those_of_the_walk_forward_that_decides() -> None:
    study = sample_study()
    assert study.evidence.rolling is not None
    kept = study.evidence.rolling.tally
    for factor in (0.5, 9.0):  # an anchored walk-forward that is worse, and one that is better
        other = replace(study.evidence.rolling, kind="anchored", tally=replace(kept, profit_factor=factor))
        rolling = replace(study.evidence.rolling, tally=replace(kept, profit_factor=1.2))
        made = replace(study, evidence=replace(study.evidence, rolling=rolling, anchored=other))
        content, worse = document(made, Method("grid", 9, 1), {}), decisive(made.evidence)
        assert content is not None
        assert worse is not None
        assert content["out_of_sample"]["profit_factor"] == worse.tally.profit_factor == min(factor, 1.2)


def test_it_says_how_many_trades_a_combination_needed_and_what_that_follows() -> None:
    study = sample_study()
    said = document(study, Method("grid", 9, 1), {})
    followed = document(replace(study, search=replace(study.search, trades_usual=41)), Method("grid", 9, 1), {})
    assert said is not None
    assert followed is not None
    assert (said["trades_min"], said["trades_usual"]) == (10, None)
    assert (followed["trades_min"], followed["trades_usual"]) == (10, 41)


def test_it_says_what_the_search_was_charged_and_what_it_knew_beside_the_bars() -> None:
    study = sample_study()
    data, written = study.data, costs_of(study.data.spec)
    content = document(study, Method("grid", 9, 1), written)
    assert content is not None
    assert {name: content["costs"][name] for name in written} == written
    assert content["costs"]["price_px"] == data.bars.close_px[-1]
    assert content["data"]["sentiment"] == fingerprint(data.sentiment)
    assert content["data"]["rolls"] == fingerprint(data.rolls)
    without = replace(data, sentiment=SentimentArrays(data.sentiment.known_ms[:0], data.sentiment.score[:0]))
    content = document(replace(study, data=without), Method("grid", 9, 1), written)
    assert content is not None
    assert content["data"]["sentiment"] == "none"
