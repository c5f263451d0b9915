"""How many numbers a study looked at, and how far the best of them must stand out to be more than luck.

Among forty numbers of mere chance four are beyond their 5-95 % band. So a study corrects twice, that on data without
anything to find at most 5 % of studies have anything to say at all:

- *within a question* (which hour? which level of RSI?) a number is held against the largest of all numbers in each
  resample without an effect, the single-step maxT: Westfall and Young, "Resampling-Based Multiple Testing" (1993);
- *between the questions* by Bonferroni: p has to be below 5 % divided by how many questions were asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palmbot.core.types import Float64Array

P_MAX = 0.05  # of a study that says anything, where there is nothing


@dataclass(frozen=True, slots=True)
class Looks:
    """What was looked at: how many numbers were judged, by question. A question without any was not asked."""

    by_question: Mapping[str, int]

    @property
    def total(self) -> int:
        """All numbers that were judged."""
        return sum(self.by_question.values())

    @property
    def questions(self) -> int:
        """How many questions were asked."""
        return sum(count > 0 for count in self.by_question.values())

    @property
    def level(self) -> float:
        """The largest p that counts, itself corrected within its question."""
        return P_MAX / max(self.questions, 1)

    def is_beyond(self, p: float | None) -> bool:
        """Whether ``p`` says more than luck does."""
        return p is not None and p <= self.level


def corrected(real: Float64Array, null: Float64Array) -> list[float]:
    """Return p of each of ``real``, corrected for all of them: (1 + resamples with a larger one) / (1 + resamples).

    Args:
        real: how far each number stands out, all in one unit, such as its standard deviation by chance; shape (k,).
        null: the same where there is no effect, shape (resamples, k); a row is one world, so what hangs together does.
    """
    largest = null.max(axis=1)
    return [float((1 + (largest >= each).sum()) / (1 + len(null))) for each in real]
