"""Who is authorised on a connection, by what the server says: heard in one role, said in the other.

::

             APP_GRANTED                       ENDED
    NEW ────────────────────▶ APP ──────────────────────▶ CLOSED
     ▲                         │  ACCOUNT_GRANTED  +account
     │        APP_LOST         │  ACCOUNT_LOST     -accounts
     └─────────────────────────┘  (all accounts go with the application)

An account is granted only under an application, so ``ACCOUNT_GRANTED`` has no meaning in ``NEW``. Losses may repeat and
may trail behind the loss of the application; those that name what is gone already change nothing. ``CLOSED`` is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from palmbot.errors import InvariantError
from palmbot.protocol.messages import pb


class Stage(Enum):
    """How far a connection has come."""

    NEW = auto()  # the application is not authorised, or not any more
    APP = auto()  # the application is authorised; accounts may be
    CLOSED = auto()  # the link has ended


class Cue(Enum):
    """What moves a connection on."""

    APP_GRANTED = auto()
    APP_LOST = auto()
    ACCOUNT_GRANTED = auto()
    ACCOUNT_LOST = auto()
    ENDED = auto()


class Change(Enum):
    """What becomes of the authorised accounts."""

    KEEP = auto()
    ADD = auto()
    DROP = auto()
    CLEAR = auto()


CUES: Mapping[int, Cue] = {
    pb.APPLICATION_AUTH_RES: Cue.APP_GRANTED,
    pb.CLIENT_DISCONNECT_EVENT: Cue.APP_LOST,
    pb.ACCOUNT_AUTH_RES: Cue.ACCOUNT_GRANTED,
    pb.ACCOUNT_LOGOUT_RES: Cue.ACCOUNT_LOST,
    pb.ACCOUNT_DISCONNECT_EVENT: Cue.ACCOUNT_LOST,
    pb.ACCOUNTS_TOKEN_INVALIDATED_EVENT: Cue.ACCOUNT_LOST,
}

TRANSITIONS: Mapping[tuple[Stage, Cue], tuple[Stage, Change]] = {
    (Stage.NEW, Cue.APP_GRANTED): (Stage.APP, Change.KEEP),
    (Stage.NEW, Cue.APP_LOST): (Stage.NEW, Change.KEEP),
    (Stage.NEW, Cue.ACCOUNT_LOST): (Stage.NEW, Change.KEEP),
    (Stage.NEW, Cue.ENDED): (Stage.CLOSED, Change.CLEAR),
    (Stage.APP, Cue.APP_GRANTED): (Stage.APP, Change.KEEP),
    (Stage.APP, Cue.APP_LOST): (Stage.NEW, Change.CLEAR),
    (Stage.APP, Cue.ACCOUNT_GRANTED): (Stage.APP, Change.ADD),
    (Stage.APP, Cue.ACCOUNT_LOST): (Stage.APP, Change.DROP),
    (Stage.APP, Cue.ENDED): (Stage.CLOSED, Change.CLEAR),
}


def apply(stage: Stage, cue: Cue) -> tuple[Stage, Change]:
    """Return the stage after ``cue`` and what becomes of the accounts.

    Raises:
        InvariantError: the cue has no meaning in this stage.
    """
    try:
        return TRANSITIONS[stage, cue]
    except KeyError:
        raise InvariantError("OUT_OF_ORDER", "end the connection", stage=stage.name, cue=cue.name) from None
