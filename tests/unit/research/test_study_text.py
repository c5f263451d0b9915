"""The study on a terminal: the verdict on top, nothing that flatters, every halt with its date."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.sample_study import sample_study

from palmbot.core.types import Reason
from palmbot.research.evidence import Tally
from palmbot.research.study import Study
from palmbot.research.verdict import decisive

HALT_MS = 1_577_923_200_000  # 2020-01-02


def lines_of(study: Study) -> list[str]:
    """Return the lines of the text."""
    return study.text().splitlines()


def test_the_verdict_and_its_reasons_come_first() -> None:
    study = sample_study()
    assert lines_of(study)[:5] == ["SYNTHETIC market", study.verdict.word, *study.verdict.reasons]
    real = replace(study, data=replace(study.data, synthetic=False))
    assert lines_of(real)[0] == study.verdict.word


def test_in_sample_and_out_of_sample_stand_side_by_side() -> None:
    study = sample_study()
    worse = decisive(study.evidence)
    assert worse is not None
    line = next(line for line in lines_of(study) if line.startswith("trades "))
    assert line.split() == ["trades", str(study.evidence.trades), str(worse.tally.trades)]
    text = study.text()
    for label in ("by stop and target alone", "at 1 % risk a trade", "max drawdown at your 0.5"):
        assert label in text
    for target in study.evidence.targets:
        met = ["met" if each else "missed" for each in (target.met_in_sample, target.met_out_of_sample)]
        assert next(line for line in lines_of(study) if line.startswith(target.name)).split()[-2:] == met


def test_every_window_has_a_line() -> None:
    study = sample_study()
    assert sum(" to 20" in line and line[:2] == "20" for line in lines_of(study)) == 8


def test_a_factor_without_a_loss_is_no_number() -> None:
    study = sample_study()
    costs = tuple(replace(each, out_of_sample=Tally(5, 1.0, None, 0.0, 1)) for each in study.evidence.costs)
    text = replace(study, evidence=replace(study.evidence, costs=costs)).text()
    assert text.count("no loss") >= 4


def test_halts_are_told_with_their_dates() -> None:
    study = sample_study()
    assert study.run is not None
    halts = ((HALT_MS, int(Reason.HALT_DRAWDOWN)),) * 7
    text = replace(study, run=replace(study.run, halts=halts)).text()
    assert "Breakers in sample: 2020-01-02 drawdown halt" in text
    assert ", and 2 more." in text


def test_a_halt_out_of_sample_that_would_have_been_final_says_so() -> None:
    study = sample_study()
    rolling = study.evidence.rolling
    assert rolling is not None
    final = "a bot would have stood still from its first drawdown halt on."
    for reason, rearm_after_ms, is_final in (
        (Reason.BREAKER_DAILY, 0, False),
        (Reason.HALT_DRAWDOWN, 0, True),
        (Reason.HALT_DRAWDOWN, 1, False),
    ):
        halted = replace(rolling, halts=((HALT_MS, int(reason)),))
        base = study.base._replace(rearm_after_ms=rearm_after_ms)
        text = replace(study, base=base, evidence=replace(study.evidence, rolling=halted, anchored=None)).text()
        assert "Breakers out of sample: 2020-01-02" in text
        assert (final in text) == is_final


def test_series_of_luck_that_nothing_could_be_judged_on_are_counted() -> None:
    study = sample_study()
    shuffled = study.evidence.shuffled
    assert shuffled is not None
    scores = np.concatenate((np.full(3, np.nan), np.zeros(16)))
    text = replace(study, evidence=replace(study.evidence, shuffled=replace(shuffled, p=0.1, scores=scores))).text()
    assert "1 of 19, 3 without a score, p = 0.100" in text


def test_tables_are_even() -> None:
    lines = lines_of(sample_study())
    begin = next(place for place, line in enumerate(lines) if line.startswith("walk-forward, rolling"))
    assert len({len(line) for line in lines[begin : begin + 5]}) == 1


def test_a_minimum_that_follows_the_usual_number_of_trades_is_told_with_its_reason() -> None:
    study = sample_study()
    assert "to be judged" not in study.text()  # ten were said
    followed = replace(study, evidence=replace(study.evidence, trades_min=1_156, trades_usual=4_624))
    line = next(line for line in lines_of(followed) if "to be judged" in line)
    assert line.startswith("A combination had to make 1,156 trades to be judged, a quarter of the 4,624")
    usual = replace(study, evidence=replace(study.evidence, trades_min=30, trades_usual=40))
    assert "to be judged" not in usual.text()
