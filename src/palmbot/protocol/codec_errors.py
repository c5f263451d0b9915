"""What the broker declined, in one shape whichever of its three messages says so. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.errors import ConfigError, PalmbotError, RejectedError, RetryError
from palmbot.model import Execution, OrderEvent
from palmbot.protocol.codec import LATEST_MS
from palmbot.protocol.codes import Reaction, is_rejection, reaction_of
from palmbot.protocol.messages import Message, pb
from palmbot.units import SECOND_MS

TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Declined:
    """An error answer, or an error that nobody asked for.

    ``until_ms`` is the end of a maintenance in UTC, ``retry_after_ms`` how long a payload type stays blocked; None
    where it was not told.
    """

    code: str
    text: str
    reaction: Reaction
    until_ms: int | None = None
    retry_after_ms: int | None = None

    @property
    def is_maintenance(self) -> bool:
        """Whether the server is away on purpose."""
        return self.until_ms is not None or self.code == "SERVER_IS_UNDER_MAINTENANCE"


def declined_of(message: Message) -> Declined | None:
    """Return what ``message`` declines; None for every other message."""
    if not isinstance(message, pb.ErrorRes | pb.CommonErrorRes | pb.OrderErrorEvent):
        return None
    code, text = message.errorCode, message.description[:TEXT_MAX]
    until_ms = retry_after_ms = None
    if not isinstance(message, pb.OrderErrorEvent) and message.maintenanceEndTimestamp > 0:
        unit_ms = SECOND_MS if isinstance(message, pb.ErrorRes) else 1  # the two messages differ
        until_ms = min(message.maintenanceEndTimestamp * unit_ms, LATEST_MS)
    if isinstance(message, pb.ErrorRes) and message.HasField("retryAfter"):
        retry_after_ms = message.retryAfter * SECOND_MS
    return Declined(code, text, reaction_of(code, text), until_ms, retry_after_ms)


def error_of(declined: Declined, asked: str) -> PalmbotError:
    """Return the failure of a request that is no order; ``asked`` names it."""
    facts = {"asked": asked, "reaction": declined.reaction.value, "text": declined.text}
    match declined.reaction:
        case Reaction.FATAL:
            return ConfigError(declined.code, "Change what the broker refuses, then start again.", **facts)
        case Reaction.REJECTED:
            return RejectedError(declined.code, "The broker said no; nothing was changed.", **facts)
    return RetryError(declined.code, "Try again later; the broker did not answer what was asked.", **facts)


def order_error_of(declined: Declined, now_ms: int, request_id: str) -> OrderEvent:
    """Return a declined trading request as an event.

    Only what proves that the request did not happen and will not is given as its answer (SAFETY 5). Any other error
    leaves ``request_id`` empty: the request stays open, and a look finds out.

    Args:
        declined: the broker's words.
        now_ms: the market clock, for errors carry no time.
        request_id: client order id of the request, empty where it is not known.
    """
    answered = request_id if is_rejection(declined.code) else ""
    return OrderEvent(
        execution=Execution.ERROR,
        ts_ms=now_ms,
        error_code=declined.code,
        error_text=declined.text,
        request_id=answered,
    )
