"""Wrong rules of gaps and pauses are caught by the replay by hand; the right ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.mutants import REPLAY, STEP, Mutant, judged, mutated_source

CHECK = ("-c", "from tests.property import test_gaps_and_pauses as t; t.compared(60)")
GAPS = "core/gaps.py"

MUTANTS = (
    Mutant(
        "the gap of the decision's bar left out",
        GAPS,
        "found[bar] = gaps[_rank(known, quantile)]",
        "found[min(bar + 1, found.shape[0] - 1)] = gaps[_rank(known, quantile)]",
    ),
    Mutant("pauses looked up a bar late", REPLAY, "bars.ahead[index] if", "bars.ahead[max(index - 1, 0)] if"),
    Mutant(
        "an entry into a pause is not refused",
        STEP,
        "if reason >= ENTRY and params.flat_before & bar.ahead != 0:",
        "if reason < _OK:",
    ),
    Mutant(
        "no exit before a pause", STEP, "if reason == _OK and params.flat_before & bar.ahead != 0:", "if reason < _OK:"
    ),
    Mutant(
        "flat before a pause hides other exits",
        STEP,
        "if reason == _OK and params.flat_before & bar.ahead != 0:",
        "if params.flat_before & bar.ahead != 0:",
    ),
    Mutant("the narrower of stop and gap is at risk", STEP, "max(sl_px, bar.gap_px)", "min(sl_px, bar.gap_px)"),
    Mutant(
        "a quantile one gap too low",
        GAPS,
        "max(math.ceil(quantile * count), 1), count) - 1",
        "max(math.ceil(quantile * count), 1), count) - 2",
    ),
)


def name_of(mutant: Mutant) -> str:
    """Return the name of ``mutant`` for pytest's output."""
    return mutant.name


def test_the_unchanged_rules_pass_the_check_of_gaps_and_pauses(tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, None), CHECK)
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_wrong_rule_of_gaps_and_pauses_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, mutant), CHECK)
    assert verdict.returncode == 1, f"nobody noticed: {mutant.name}\n{verdict.stderr}"
    assert "differs" in verdict.stderr, verdict.stderr  # and did not merely break
