"""One direction of a connection: bytes in flight, in order, late by a seeded delay."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from palmbot.errors import InvariantError
from palmbot.simulation.loop import VirtualLoop


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network is like. Delays are drawn evenly, one for each piece of a write."""

    delay_min_ms: float = 1.0
    delay_max_ms: float = 20.0
    slice_share: float = 0.1  # of the writes that arrive in two pieces
    window_bytes: int = 262_144  # not read by the receiver yet; what is more stays with the sender

    def __post_init__(self) -> None:
        if not 0 <= self.delay_min_ms <= self.delay_max_ms or not 0 <= self.slice_share <= 1 or self.window_bytes < 1:
            raise InvariantError("CONDITIONS_IMPOSSIBLE", "Give delays in order and a share of 0..1.", given=self)


class Sign(Enum):
    """What travels beside bytes."""

    OPEN = "open"  # a connection is asked for, or was accepted
    END = "end"  # no more bytes
    RESET = "reset"  # the connection is gone; what comes after it is not heard


class _Flight(NamedTuple):
    due_s: float
    cargo: bytes | Sign


class Pipe:
    """Carries bytes and signs to one receiver, in the receiver's context and in the order in which they were sent.

    Args:
        loop: the loop of both ends.
        rng: draws delays, cuts, and whether what is in flight is lost.
        conditions: of the network.
        context: the receiver's.
        arrived: takes what arrives; bytes that arrive at one instant come as one piece.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        conditions: Conditions,
        context: Context,
        arrived: Callable[[bytes | Sign], None],
    ) -> None:
        self.is_mute = False  # half open: what is sent vanishes and nobody is told
        self._unread_bytes = 0  # sent and not read yet, whether in flight, received or vanished
        self._loop = loop
        self._rng = rng
        self._conditions = conditions
        self._context = context
        self._arrived = arrived
        self._flying: deque[_Flight] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def room_bytes(self) -> int:
        """How much may be sent before the receiver reads."""
        return max(self._conditions.window_bytes - self._unread_bytes, 0)

    def send(self, cargo: bytes | Sign) -> None:
        """Put ``cargo`` on its way."""
        if isinstance(cargo, Sign):
            self._launch(cargo)
            return
        self._unread_bytes += len(cargo)
        at = 0
        if len(cargo) > 1 and self._rng.random() < self._conditions.slice_share:
            at = self._rng.randrange(1, len(cargo))
            self._launch(cargo[:at])
        self._launch(cargo[at:])

    def read(self, count: int) -> None:
        """Let the receiver have read ``count`` bytes: there is room for as many."""
        self._unread_bytes -= count

    def break_off(self) -> None:
        """End with a reset; what is in flight arrives before it or is lost, as the seed says.

        A kernel outlives its process, so both happen.
        """
        if self._rng.random() < 0.5:
            self._flying.clear()
        self.send(Sign.RESET)

    def _launch(self, cargo: bytes | Sign) -> None:
        delay_ms = self._rng.uniform(self._conditions.delay_min_ms, self._conditions.delay_max_ms)
        if self.is_mute:
            return
        self._flying.append(_Flight(self._loop.time() + delay_ms / 1_000, cargo))
        self._wait()

    def _wait(self) -> None:
        if self._flying and self._timer is None:
            self._timer = self._loop.call_at(self._flying[0].due_s, self._land, context=self._context)

    def _land(self) -> None:
        """Hand over what is due, and nothing that was sent after something that is not."""
        self._timer = None
        piece = bytearray()
        while self._flying and self._flying[0].due_s <= self._loop.time():
            cargo = self._flying.popleft().cargo
            if isinstance(cargo, bytes):
                piece += cargo
                continue
            self._hand(piece)
            self._arrived(cargo)
        self._hand(piece)
        self._wait()

    def _hand(self, piece: bytearray) -> None:
        if piece:
            self._arrived(bytes(piece))
            piece.clear()
