"""The best of many numbers, and how far it must stand out."""

from __future__ import annotations

import numpy as np
import pytest

from palmbot.research.looks import Looks, corrected


def test_p_counts_the_largest_of_all_numbers_in_each_world() -> None:
    null = np.array([[1.0, 5.0], [2.0, 0.0], [0.5, 0.5]])
    assert corrected(np.array([3.0, 0.6]), null) == [2 / 4, 3 / 4]


def test_p_is_never_nothing() -> None:
    assert corrected(np.array([9.0]), np.zeros((19, 1))) == [0.05]


def test_of_forty_numbers_of_chance_the_best_is_below_a_twentieth_in_one_study_of_twenty() -> None:
    rng = np.random.default_rng(1)
    studies = [
        min(corrected(np.abs(rng.standard_normal(40)), np.abs(rng.standard_normal((200, 40))))) for _ in range(400)
    ]
    assert 0.02 < np.mean(np.array(studies) <= 0.05) < 0.09  # uncorrected it would be 0.87


@pytest.mark.parametrize(("counts", "total", "questions", "level"), [
    ({"hours": 24, "levels": 8}, 32, 2, 0.025),
    ({"hours": 24, "levels": 0}, 24, 1, 0.05),
    ({}, 0, 0, 0.05),
])  # fmt: skip
def test_a_question_without_an_answer_was_not_asked(
    counts: dict[str, int], total: int, questions: int, level: float
) -> None:
    looks = Looks(counts)
    assert (looks.total, looks.questions, looks.level) == (total, questions, level)
    assert looks.is_beyond(level)
    assert not looks.is_beyond(level + 0.001)
    assert not looks.is_beyond(None)
