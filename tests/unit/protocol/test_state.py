"""Every pair of stage and cue."""

from __future__ import annotations

from itertools import product

import pytest

from palmbot.errors import InvariantError
from palmbot.protocol.messages import CLASSES
from palmbot.protocol.state import CUES, TRANSITIONS, Change, Cue, Stage, apply

WALK = """
NEW     APP_GRANTED      APP     KEEP
NEW     APP_LOST         NEW     KEEP
NEW     ACCOUNT_GRANTED  -       -
NEW     ACCOUNT_LOST     NEW     KEEP
NEW     ENDED            CLOSED  CLEAR
APP     APP_GRANTED      APP     KEEP
APP     APP_LOST         NEW     CLEAR
APP     ACCOUNT_GRANTED  APP     ADD
APP     ACCOUNT_LOST     APP     DROP
APP     ENDED            CLOSED  CLEAR
CLOSED  APP_GRANTED      -       -
CLOSED  APP_LOST         -       -
CLOSED  ACCOUNT_GRANTED  -       -
CLOSED  ACCOUNT_LOST     -       -
CLOSED  ENDED            -       -
"""
PAIRS = [tuple(line.split()) for line in WALK.strip().splitlines()]


@pytest.mark.parametrize(("stage", "cue", "after", "change"), PAIRS)
def test_each_pair_moves_as_drawn_or_raises(stage: str, cue: str, after: str, change: str) -> None:
    if after == "-":
        with pytest.raises(InvariantError, match=f"OUT_OF_ORDER: stage={stage} cue={cue}"):
            apply(Stage[stage], Cue[cue])
    else:
        assert apply(Stage[stage], Cue[cue]) == (Stage[after], Change[change])


def test_the_walk_is_complete() -> None:
    assert [(stage, cue) for stage, cue, *_ in PAIRS] == [(s.name, c.name) for s, c in product(Stage, Cue)]
    assert len(TRANSITIONS) == sum(after != "-" for _, _, after, _ in PAIRS)


def test_cues_come_of_messages_that_servers_send() -> None:
    assert {CLASSES[number].__name__ for number in CUES} == {
        "ApplicationAuthRes",
        "AccountAuthRes",
        "AccountLogoutRes",
        "AccountDisconnectEvent",
        "AccountsTokenInvalidatedEvent",
        "ClientDisconnectEvent",
    }
