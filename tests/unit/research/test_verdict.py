"""The verdict: the table row by row, what is missing, and sentences that a trader understands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from palmbot.research.bootstrap import Band
from palmbot.research.evidence import Evidence, Surrogates, Tally, WalkForward
from palmbot.research.verdict import decisive, targets_of, verdict_of


def surrogates(p: float) -> Surrogates:
    """Return shuffled data with this p of 199."""
    return Surrogates("shuffled", 199, p, np.zeros(199), np.zeros(199))


def walked(factor: float | None = 1.4, low: float | None = 1.1, kind: str = "rolling", **changes: Any) -> WalkForward:
    """Return a walk-forward with this profit factor and 5 % bound."""
    band = None if low is None else Band(low, 2.0)
    return replace(WalkForward(kind, (), (), Tally(200, 0.5, factor, 4.0, 100), band), **changes)


ROBUST = Evidence(
    trials=1_800,
    trades=400,
    sharpe=0.1,
    probabilistic_sharpe=0.99,
    deflated_sharpe=0.96,
    expected_max_sharpe=0.05,
    track_record_min=200.0,
    days=3_000,
    pbo=0.1,
    pbo_logits=np.zeros(0),
    shuffled=surrogates(0.005),
    sign_flipped=None,
    rolling=walked(),
    anchored=walked(kind="anchored"),
    costs=(),
    plateau=None,
    fan=None,
    sees_ahead=False,
    targets=(),
)

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("ROBUST", {}),
    ("WEAK", {"shuffled": surrogates(0.01)}),
    ("WEAK", {"shuffled": surrogates(0.045)}),
    ("NOISE", {"shuffled": surrogates(0.05)}),
    ("NOISE", {"shuffled": surrogates(0.4)}),
    ("ROBUST", {"pbo": 0.199}),
    ("WEAK", {"pbo": 0.2}),
    ("ROBUST", {"deflated_sharpe": 0.951}),
    ("WEAK", {"deflated_sharpe": 0.95}),
    ("ROBUST", {"rolling": walked(1.4, 1.001)}),
    ("WEAK", {"rolling": walked(1.4, 1.0)}),
    ("WEAK", {"anchored": walked(1.4, 0.9)}),
    ("WEAK", {"rolling": walked(1.01, 0.8)}),
    ("NOISE", {"rolling": walked(1.0, 0.8)}),
    ("NOISE", {"anchored": walked(0.9, 0.8)}),
    # what is not known never helps
    ("NOISE", {"shuffled": None}),
    # of few unseen trades the bound says too much
    ("ROBUST", {"rolling": walked(tally=Tally(30, 0.5, 1.4, 4.0, 100))}),
    ("WEAK", {"rolling": walked(tally=Tally(29, 0.5, 1.4, 4.0, 100))}),
    ("WEAK", {"anchored": walked(1.6, 1.2, tally=Tally(7, 0.9, 1.6, 1.0, 100))}),
    ("WEAK", {"pbo": None}),
    ("WEAK", {"deflated_sharpe": None}),
    ("WEAK", {"rolling": walked(1.4, None)}),
    ("NOISE", {"rolling": walked(None, None)}),
    ("NOISE", {"rolling": None}),
    ("NOISE", {"anchored": None}),
    ("NOISE", {"rolling": None, "anchored": None}),
    # what spoils everything
    ("NOISE", {"sees_ahead": True}),
    ("NOISE", {"rolling": walked(stopped_out_ms=1_577_923_200_000)}),
    ("NOISE", {"trades": 0}),
    # what has no say
    ("ROBUST", {"sign_flipped": surrogates(0.9), "sees_ahead": None, "sharpe": None}),
]


@pytest.mark.parametrize(("word", "changes"), ROWS)
def test_every_row_of_the_table(word: str, changes: dict[str, Any]) -> None:
    verdict = verdict_of(replace(ROBUST, **changes))
    assert verdict.word == word
    assert 2 <= len(verdict.reasons) <= 3
    assert all(reason.endswith(".") and reason[0].isupper() and len(reason) < 320 for reason in verdict.reasons)


def test_the_reasons_hold_the_numbers_that_decide() -> None:
    assert verdict_of(ROBUST).reasons == (
        (
            "Shuffled prices hold no edge, and the same search did as well on only 0 of 199 of them (p = 0.005): luck "
            "is unlikely."
        ),
        (
            "After costs it made money on bars that the search had not seen: 200 trades had profit factor 1.40, and "
            "with 95\N{NO-BREAK SPACE}% confidence above 1.10."
        ),
        (
            "Having tried 1,800 combinations does not explain it: the chance that the choice is overfitted is "
            "10.0\N{NO-BREAK SPACE}%, and the confidence in an edge after so many tries 96.0\N{NO-BREAK SPACE}%."
        ),
    )
    noise = verdict_of(replace(ROBUST, shuffled=surrogates(0.4), anchored=walked(0.8, 0.6, "anchored")))
    assert "79 of 199 of them (p = 0.400): this can be luck" in noise.reasons[0]
    assert "lost money" in noise.reasons[1]
    assert "0.80" in noise.reasons[1]
    assert noise.reasons[2] == "Do not trade these parameters."


def test_a_weak_verdict_says_what_is_missing_and_what_is_unknown() -> None:
    weak = verdict_of(replace(ROBUST, pbo=0.5, deflated_sharpe=None, rolling=walked(1.2, 0.9)))
    assert "reaches down to 0.90" in weak.reasons[1]
    for missing in ("bound of the profit factor is 0.90", "choice is 50.0", "after so many tries is unknown"):
        assert missing in weak.reasons[2]


def test_an_interrupted_examination_is_noise_and_says_what_was_not_examined() -> None:
    verdict = verdict_of(ROBUST, ("overfitting", "shuffled prices"))
    assert verdict.word == "NOISE"
    assert verdict.reasons[0] == "The examination was interrupted; not examined: overfitting, shuffled prices."


def test_trades_of_which_none_lost_are_not_called_too_few() -> None:
    reasons = verdict_of(replace(ROBUST, rolling=walked(None, None))).reasons
    assert "none of 200 trades lost" in reasons[1]
    none = walked(None, None, tally=Tally(0, None, None, 0.0, 0))
    assert "too few trades" in verdict_of(replace(ROBUST, rolling=none)).reasons[1]


def test_a_search_without_trades_says_why() -> None:
    none = verdict_of(replace(ROBUST, trades=0))
    assert "a single trade" in none.reasons[0]
    few = verdict_of(replace(ROBUST, trades=0, trades_max=12, trades_min=30))
    assert "the 30 trades" in few.reasons[0]
    assert "the most was 12" in few.reasons[0]


def test_the_worse_walk_forward_decides_and_an_unknown_one_is_the_worst() -> None:
    worse, unknown = walked(1.2, kind="anchored"), walked(None, None, "anchored")
    assert decisive(replace(ROBUST, anchored=worse)) == worse
    assert decisive(replace(ROBUST, anchored=unknown)) == unknown
    assert decisive(replace(ROBUST, rolling=None, anchored=None)) is None


def test_targets_are_met_beyond_their_numbers_alone_and_unknown_is_missed() -> None:
    inside, outside = Tally(50, 0.51, 1.51, 4.99, 1), Tally(50, 0.5, 1.5, 5.0, 1)
    met = [(target.met_in_sample, target.met_out_of_sample) for target in targets_of(inside, outside)]
    assert met == [(True, False)] * 3
    assert not any(target.met_in_sample for target in targets_of(None, outside))
    untraded = Tally(0, None, None, 0.0, 0)
    assert not any(target.met_out_of_sample for target in targets_of(inside, untraded))
