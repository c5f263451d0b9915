"""The life of one request to the broker: states, what can happen, and the only place where one becomes the other.

An outcome is known (filled, done, refused) or unknown; an unknown one is looked up, never sent again. A pair that is
not in the table raises and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

from palmbot.errors import InvariantError


class Phase(Enum):
    """Where a request stands."""

    INTENDED = "intended"  # in the journal, not on the wire
    SENT = "sent"  # on the wire, no answer yet
    ACCEPTED = "accepted"  # the broker has it
    DONE = "done"  # filled, or amended as asked
    REFUSED = "refused"  # certainly not executed
    UNKNOWN = "unknown"  # silence, a lost link or a restart: look, do not send


class Happening(Enum):
    """What can happen to a request."""

    SUBMIT = "submit"
    ACCEPT = "accept"
    FILL = "fill"
    REFUSE = "refuse"
    LOSE = "lose"
    FIND = "find"  # a look shows that it was executed
    MISS = "miss"  # looks show that it was not


TRANSITIONS = MappingProxyType(
    {
        (Phase.INTENDED, Happening.SUBMIT): Phase.SENT,
        (Phase.INTENDED, Happening.LOSE): Phase.UNKNOWN,  # found in the journal after a crash
        (Phase.SENT, Happening.ACCEPT): Phase.ACCEPTED,
        (Phase.SENT, Happening.FILL): Phase.DONE,  # an answer may skip the acceptance
        (Phase.SENT, Happening.REFUSE): Phase.REFUSED,
        (Phase.SENT, Happening.LOSE): Phase.UNKNOWN,
        (Phase.ACCEPTED, Happening.FILL): Phase.DONE,
        (Phase.ACCEPTED, Happening.REFUSE): Phase.REFUSED,  # accepted first, then rejected or cancelled unfilled
        (Phase.ACCEPTED, Happening.LOSE): Phase.UNKNOWN,
        (Phase.UNKNOWN, Happening.ACCEPT): Phase.ACCEPTED,  # the answer was only late
        (Phase.UNKNOWN, Happening.FILL): Phase.DONE,
        (Phase.UNKNOWN, Happening.REFUSE): Phase.REFUSED,
        (Phase.UNKNOWN, Happening.FIND): Phase.DONE,
        (Phase.UNKNOWN, Happening.MISS): Phase.REFUSED,
        (Phase.UNKNOWN, Happening.LOSE): Phase.UNKNOWN,
    }
)
FINAL = (Phase.DONE, Phase.REFUSED)


def apply(phase: Phase, happening: Happening) -> Phase:
    """Return the phase after ``happening``.

    Raises:
        InvariantError: it cannot happen in ``phase``.
    """
    after = TRANSITIONS.get((phase, happening))
    if after is None:
        raise InvariantError(
            "ORDER_LIFECYCLE",
            "Report this with the journal: an order did what orders cannot do.",
            phase=phase.value,
            happening=happening.value,
        )
    return after


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.INTENDED.value}"]
    lines += [f"    {before.value} --> {after.value}: {what.value}" for (before, what), after in TRANSITIONS.items()]
    lines += [f"    {phase.value} --> [*]" for phase in FINAL]
    return "\n".join(lines)
