"""Every wrong rule of ``mutants`` is caught by the replay by hand; the right rules are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parity.mutants import MUTANTS, Mutant, judged, mutated_source

# Enough worlds for the rarest of them; a mutant stops at the first world that differs.
CHECK = ("-m", "tests.oracle.comparison", "0", "400")


def name_of(mutant: Mutant) -> str:
    """Return the name of ``mutant`` for pytest's output."""
    return mutant.name


def test_the_unchanged_rules_pass_the_check_that_catches_mutants(tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, None), CHECK)
    assert (verdict.returncode, verdict.stdout) == (0, ""), verdict.stdout + verdict.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_wrong_rule_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    verdict = judged(mutated_source(tmp_path, mutant), CHECK)
    assert verdict.returncode == 1, f"nobody noticed: {mutant.name}\n{verdict.stderr}"
    assert "differs" in verdict.stdout, verdict.stderr  # and did not merely break


def test_names_of_mutants_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
