"""Error codes, and what a client must do about each.

On the wire a code is its name. Names outside this table occur; they count as unknown, as does whatever cannot prove
that a request did not happen. Only the allow-list of ``is_rejection`` is such a proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, Flag, auto
from typing import NamedTuple


class Via(Flag):
    """In which message a code arrives."""

    ERROR = auto()  # ErrorRes
    ORDER = auto()  # OrderErrorEvent
    EXECUTION = auto()  # ExecutionEvent.errorCode


class Reaction(Enum):
    """What a client must do."""

    SUCCESS = "go on: what was asked for is so already"
    REJECTED = "go on without: it certainly did not happen"
    WAIT = "try again later, after the time that came with it"
    REAUTHORISE = "authorise the application or the account again"
    TOKEN = "refresh the token once, else log in again"  # noqa: S105 - a sentence, no secret
    FATAL = "stop: a person must change something"
    LOOK = "read the orders and positions: they are not what we took them for"
    BUG = "mend the request: it was malformed"
    UNKNOWN = "nobody knows: look after a trading request, drop the link after any other"


class Code(NamedTuple):
    """One error code. ``number`` is unique only within its enum of the official schema."""

    name: str
    number: int
    via: Via
    reaction: Reaction


_TABLE = (
    # common codes
    Code("UNKNOWN_ERROR", 1, Via.ERROR, Reaction.UNKNOWN),
    Code("UNSUPPORTED_MESSAGE", 2, Via.ERROR, Reaction.BUG),
    Code("INVALID_REQUEST", 3, Via.ERROR, Reaction.BUG),
    Code("TIMEOUT_ERROR", 5, Via.ERROR | Via.ORDER | Via.EXECUTION, Reaction.UNKNOWN),
    Code("ENTITY_NOT_FOUND", 6, Via.ERROR, Reaction.LOOK),
    Code("CANT_ROUTE_REQUEST", 7, Via.ERROR, Reaction.UNKNOWN),
    Code("FRAME_TOO_LONG", 8, Via.ERROR, Reaction.BUG),
    Code("MARKET_CLOSED", 9, Via.ORDER, Reaction.REJECTED),
    Code("CONCURRENT_MODIFICATION", 10, Via.ORDER, Reaction.LOOK),
    Code("BLOCKED_PAYLOAD_TYPE", 11, Via.ERROR, Reaction.WAIT),
    # connection, application, account
    Code("OA_AUTH_TOKEN_EXPIRED", 1, Via.ERROR, Reaction.TOKEN),
    Code("ACCOUNT_NOT_AUTHORIZED", 2, Via.ERROR, Reaction.REAUTHORISE),
    Code("RET_NO_SUCH_LOGIN", 12, Via.ERROR, Reaction.FATAL),
    Code("ALREADY_LOGGED_IN", 14, Via.ERROR, Reaction.SUCCESS),
    Code("INCORRECT_BOUNDARIES", 35, Via.ERROR, Reaction.BUG),
    Code("RET_ACCOUNT_DISABLED", 64, Via.ERROR, Reaction.FATAL),
    Code("CONNECTIONS_LIMIT_EXCEEDED", 67, Via.ERROR, Reaction.WAIT),
    Code("CH_CLIENT_AUTH_FAILURE", 101, Via.ERROR, Reaction.FATAL),
    Code("CH_CLIENT_NOT_AUTHENTICATED", 102, Via.ERROR, Reaction.REAUTHORISE),
    Code("CH_CLIENT_ALREADY_AUTHENTICATED", 103, Via.ERROR, Reaction.SUCCESS),
    Code("CH_ACCESS_TOKEN_INVALID", 104, Via.ERROR, Reaction.TOKEN),
    Code("CH_SERVER_NOT_REACHABLE", 105, Via.ERROR, Reaction.UNKNOWN),
    Code("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", 106, Via.ERROR, Reaction.FATAL),
    Code("CH_OA_CLIENT_NOT_FOUND", 107, Via.ERROR, Reaction.FATAL),
    Code("REQUEST_FREQUENCY_EXCEEDED", 108, Via.ERROR, Reaction.WAIT),
    Code("SERVER_IS_UNDER_MAINTENANCE", 109, Via.ERROR, Reaction.WAIT),
    Code("CHANNEL_IS_BLOCKED", 110, Via.ERROR, Reaction.FATAL),
    # subscriptions and symbols
    Code("NOT_SUBSCRIBED_TO_SPOTS", 112, Via.ERROR, Reaction.BUG),
    Code("ALREADY_SUBSCRIBED", 113, Via.ERROR, Reaction.SUCCESS),
    Code("SYMBOL_NOT_FOUND", 114, Via.ERROR | Via.ORDER, Reaction.FATAL),
    Code("UNKNOWN_SYMBOL", 115, Via.ERROR | Via.ORDER, Reaction.FATAL),
    Code("NOT_SUBSCRIBED_TO_PNL", 137, Via.ERROR, Reaction.SUCCESS),
    # trading
    Code("WORSE_GSL_NOT_ALLOWED", 68, Via.ORDER, Reaction.REJECTED),
    Code("SYMBOL_HAS_HOLIDAY", 69, Via.ORDER, Reaction.REJECTED),
    Code("NO_QUOTES", 117, Via.ORDER, Reaction.REJECTED),
    Code("NOT_ENOUGH_MONEY", 118, Via.ORDER, Reaction.REJECTED),
    Code("MAX_EXPOSURE_REACHED", 119, Via.ORDER, Reaction.REJECTED),
    Code("POSITION_NOT_FOUND", 120, Via.ORDER, Reaction.LOOK),
    Code("ORDER_NOT_FOUND", 121, Via.ERROR | Via.ORDER, Reaction.LOOK),
    Code("POSITION_NOT_OPEN", 122, Via.ORDER, Reaction.LOOK),
    Code("POSITION_LOCKED", 123, Via.ORDER, Reaction.LOOK),
    Code("TOO_MANY_POSITIONS", 124, Via.ORDER, Reaction.REJECTED),
    Code("TRADING_BAD_VOLUME", 125, Via.ORDER, Reaction.REJECTED),
    Code("TRADING_BAD_STOPS", 126, Via.ORDER, Reaction.REJECTED),
    Code("TRADING_BAD_PRICES", 127, Via.ERROR | Via.ORDER, Reaction.REJECTED),
    Code("TRADING_BAD_STAKE", 128, Via.ORDER, Reaction.REJECTED),
    Code("PROTECTION_IS_TOO_CLOSE_TO_MARKET", 129, Via.ORDER, Reaction.REJECTED),
    Code("TRADING_BAD_EXPIRATION_DATE", 130, Via.ERROR | Via.ORDER, Reaction.REJECTED),
    Code("PENDING_EXECUTION", 131, Via.ORDER, Reaction.LOOK),
    Code("TRADING_DISABLED", 132, Via.ERROR | Via.ORDER, Reaction.REJECTED),
    Code("TRADING_NOT_ALLOWED", 133, Via.ERROR | Via.ORDER, Reaction.REJECTED),
    Code("UNABLE_TO_CANCEL_ORDER", 134, Via.ORDER, Reaction.LOOK),
    Code("UNABLE_TO_AMEND_ORDER", 135, Via.ORDER, Reaction.LOOK),
    Code("SHORT_SELLING_NOT_ALLOWED", 136, Via.ERROR | Via.ORDER, Reaction.REJECTED),
)
CODES: Mapping[str, Code] = {code.name: code for code in _TABLE}

# Over a rate limit a request is not even looked at: it did not happen, and may be sent again later.
RATE_LIMITS = frozenset({"BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED"})


def reaction_of(name: str, description: str = "") -> Reaction:
    """Return what to do about the code ``name``; ``description`` tells a lost account session from a bad request."""
    code = CODES.get(name)
    if code is None:
        return Reaction.UNKNOWN
    if name == "INVALID_REQUEST" and "not authorized" in description:
        return Reaction.REAUTHORISE
    return code.reaction


def is_rejection(name: str) -> bool:
    """Return whether the code ``name`` proves that the request did not happen and will not."""
    return name in RATE_LIMITS or reaction_of(name) is Reaction.REJECTED
