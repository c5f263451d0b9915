"""How many trades a combination needs: as many as it was said, else it follows what is usual among them."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.research.search import Minimum, minimum_of
from palmbot.research.sweep_ledger import RESULT, Rows


def results_of(*trades: int) -> Rows:
    results = np.zeros(len(trades), RESULT)
    results["trades"] = trades
    return results


@pytest.mark.parametrize(
    ("trades", "minimum"),
    [
        ((400, 500, 600), Minimum(125, 500)),
        ((0, 0, 0, 0, 400, 500, 600), Minimum(125, 500)),  # what never trades says nothing of what is usual
        ((400, 503), Minimum(112, 451)),  # rounded down
        ((90, 100, 110), Minimum(30, 100)),  # but never fewer than 30
        ((0, 0), Minimum(30, 0)),
        ((), Minimum(30, 0)),
    ],
)
def test_the_minimum_is_a_quarter_of_the_usual_number_and_at_least_thirty(
    trades: tuple[int, ...], minimum: Minimum
) -> None:
    assert minimum_of(results_of(*trades)) == minimum


def test_a_minimum_that_was_said_is_kept_whatever_is_usual() -> None:
    assert minimum_of(results_of(400, 500, 600), 5) == Minimum(5, None)
