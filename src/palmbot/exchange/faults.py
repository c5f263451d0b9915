"""What may go wrong on purpose (sheet 11.13), off until a test or a simulation turns it on.

``once`` arms a fault for the next time it fits, ``always`` for every time or a share of the times. What is drawn comes
from the one seeded ``rng``, so that a story with faults can be told again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random

from palmbot.exchange.values import Refused, Via


class Fault(Enum):
    """A fault that happens to a connection, a request, an answer or an event."""

    REFUSE_CONNECTION = "a new connection is cut at once"
    DROP_BEFORE_ACCEPT = "the connection is cut when a trading request arrives, which is not carried out"
    DROP_AFTER_ACCEPT = "a trading request is carried out and the connection cut before anything of it is told"
    SWALLOW_RESPONSE = "a request is carried out, its answer never sent"
    DUPLICATE_EVENT = "an execution event is sent twice"
    EMPTY_LIST = "a list is answered empty, as if there were nothing"
    EXTRA_FIELDS = "an answer or event carries fields that no schema knows"
    UNKNOWN_ENUM = "an execution event is of a type that no schema knows"
    UNKNOWN_PAYLOAD = "a message of a payload type that no schema knows comes before an answer"
    FRAGMENT_WRITES = "bytes are written in small pieces"
    COALESCE_WRITES = "several messages are held back and written at once"
    LOSE_TOKEN_REPLY = "the token endpoint does what it is asked and cuts the connection"  # noqa: S105 - words, no token


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Every request is answered by SERVER_IS_UNDER_MAINTENANCE; the two messages count in different units."""

    end_ms: int  # UTC
    by_common_error: bool = False  # 50, in milliseconds; else 2142, in seconds


class Faults:
    """The switchboard. ``delay_ms``, ``deal_lag_ms``, ``maintenance`` and ``is_weekend`` hold until they are changed.

    Args:
        rng: decides where only a share of the times is asked for, and how writes are cut.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.delay_ms = (0, 0)  # every message waits so long, shortest and longest
        self.deal_lag_ms = 0  # of market time: so long after its event a deal is missing from lists (sheet 7.6)
        self.maintenance: Maintenance | None = None
        self.is_weekend = False  # no account can be authorised; `Server.drop_accounts` ends those that are
        self._armed: dict[Fault, list[int | None]] = {}  # payload types that the next ones wait for
        self._shares: dict[Fault, float] = {}
        self._refusals: list[tuple[Refused, int | None]] = []

    @property
    def is_calm(self) -> bool:
        """Whether nothing is armed: the common case, asked at every message."""
        return not self._armed and not self._shares

    def once(self, fault: Fault, payload_type: int | None = None, times: int = 1) -> None:
        """Let ``fault`` happen the next ``times`` times; with a payload type, only to messages of that type."""
        self._armed.setdefault(fault, []).extend([payload_type] * times)

    def always(self, fault: Fault, share: float = 1.0) -> None:
        """Let ``fault`` happen in this share of the times, until ``never``."""
        self._shares[fault] = share

    def never(self, fault: Fault) -> None:
        """Turn ``fault`` off, armed ones too."""
        self._shares.pop(fault, None)
        self._armed.pop(fault, None)

    def take(self, fault: Fault, payload_type: int | None = None) -> bool:
        """Return whether ``fault`` happens now, and count it."""
        armed = self._armed.get(fault, [])
        for fits in (payload_type, None):
            if fits in armed:
                armed.remove(fits)
                if not armed:
                    del self._armed[fault]
                return True
        share = self._shares.get(fault, 0.0)
        return share > 0.0 and (share >= 1.0 or self.rng.random() < share)

    def refuse(self, code: str, payload_type: int | None = None, via: Via = Via.ERROR_RES) -> None:
        """Let the next request that might be handled, of a type or of any, be refused instead, in words of the code.

        Only a trading request is refused by an order error; whatever else is asked has one form of refusal.
        """
        self._refusals.append((Refused(code, "Refused by a fault that was asked for", via), payload_type))

    def refusal(self, payload_type: int) -> Refused | None:
        """Return the refusal that waits for a request of this type, once."""
        for at, (refused, fits) in enumerate(self._refusals):
            if fits is None or fits == payload_type:
                del self._refusals[at]
                return refused
        return None

    def delay(self) -> int:
        """Return how long the next message waits, in ms."""
        low, high = self.delay_ms
        return low if low == high else self.rng.randint(low, high)
