"""The life of a request: every pair of phase and happening, and what the table promises as a whole."""

from __future__ import annotations

from itertools import product

import pytest

from palmbot.errors import InvariantError
from palmbot.orders.lifecycle import FINAL, TRANSITIONS, Happening, Phase, apply, diagram

# What may happen in each phase, written down a second time, as a person would: everything else must raise.
LIVES = {
    Phase.INTENDED: "submit>sent lose>unknown",
    Phase.SENT: "accept>accepted fill>done refuse>refused lose>unknown",
    Phase.ACCEPTED: "fill>done refuse>refused lose>unknown",
    Phase.UNKNOWN: "accept>accepted fill>done refuse>refused find>done miss>refused lose>unknown",
    Phase.DONE: "",
    Phase.REFUSED: "",
}
EVERY_PAIR = tuple(product(Phase, Happening))


def allowed(phase: Phase) -> dict[str, str]:
    return dict(step.split(">") for step in LIVES[phase].split())


@pytest.mark.parametrize(("phase", "happening"), EVERY_PAIR)
def test_every_pair_moves_as_written_or_raises(phase: Phase, happening: Happening) -> None:
    after = allowed(phase).get(happening.value)
    if after is not None:
        assert apply(phase, happening) is Phase(after)
        return
    with pytest.raises(InvariantError) as raised:
        apply(phase, happening)
    assert raised.value.code == "ORDER_LIFECYCLE"
    assert raised.value.facts == {"phase": phase.value, "happening": happening.value}


def test_the_table_holds_nothing_that_the_walk_did_not_see() -> None:
    walked = {(phase, happening) for phase, happening in EVERY_PAIR if happening.value in allowed(phase)}
    assert set(TRANSITIONS) == walked


def test_an_ended_request_never_moves_again() -> None:
    assert {phase for phase in Phase if not LIVES[phase]} == set(FINAL)


def test_no_request_that_was_sent_can_be_sent_again() -> None:
    reachable, waiting = set(), [Phase.SENT]
    while waiting:
        phase = waiting.pop()
        for happening in Happening:
            after = TRANSITIONS.get((phase, happening))
            if after is not None and after not in reachable:
                reachable.add(after)
                waiting.append(after)
    assert Phase.INTENDED not in reachable
    assert [phase for phase in reachable if (phase, Happening.SUBMIT) in TRANSITIONS] == []


def test_every_phase_that_is_not_an_end_can_become_unknown_and_from_there_end() -> None:
    for phase in set(Phase) - set(FINAL):
        assert apply(phase, Happening.LOSE) is Phase.UNKNOWN
    assert {apply(Phase.UNKNOWN, Happening.FIND), apply(Phase.UNKNOWN, Happening.MISS)} == set(FINAL)


def test_the_diagram_shows_every_transition_and_both_ends() -> None:
    lines = [line.strip() for line in diagram().splitlines()]
    assert lines[:2] == ["stateDiagram-v2", "[*] --> intended"]
    arrows = {f"{one.value} --> {two.value}: {what.value}" for (one, what), two in TRANSITIONS.items()}
    assert set(lines[2:]) == arrows | {"done --> [*]", "refused --> [*]"}
