"""``python -m tests.parity.check FIRST COUNT``: bot and exchange against the replay on seeded SYNTHETIC worlds.

Prints the first difference and fails; that is how a changed copy of the package is judged.
"""

from __future__ import annotations

import sys
from random import Random

from tests.oracle.worlds import world_of
from tests.parity.test_parity_worlds import compared

from palmbot.errors import HaltError, InvariantError


def main(first: int, count: int) -> int:
    """Compare seeded worlds; return the exit code."""
    for seed in range(first, first + count):
        try:
            outcome = compared(world_of(Random(f"parity:{seed}")))
        except (InvariantError, HaltError) as error:
            sys.stdout.write(f"world {seed} differs: {error}\n")
            return 1
        if outcome is not None and outcome[0]:
            sys.stdout.write(f"world {seed} differs\n" + "\n".join(outcome[0]) + "\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
