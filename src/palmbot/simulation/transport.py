"""One end of a simulated connection: an ``asyncio.Transport`` that behaves as one over TLS, without the ciphers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from typing import Final

from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.pipe import Pipe, Sign

_HIGH_BYTES: Final = 65_536  # asyncio's own limit of the write buffer
Bytes = bytes | bytearray | memoryview


class End(asyncio.Transport):
    """What one process holds of a connection. Its callbacks run in that process.

    Args:
        loop: the loop of both ends.
        context: the process's.
        opened: called with this end when the other one has asked for the connection, or accepted it; sets a protocol.
        extra: what ``get_extra_info`` knows.
    """

    inward: Pipe  # to this end; who lays the connection sets both before anything is sent
    peer: End

    def __init__(
        self, loop: VirtualLoop, context: Context, opened: Callable[[End], None], extra: Mapping[str, object]
    ) -> None:
        super().__init__(extra)
        self.context = context
        self.is_lost = False  # nothing leaves and nothing is heard any more
        self._loop = loop
        self._protocol = asyncio.Protocol()  # hears nothing
        self._opened = opened
        self._unsent = bytearray()
        self._unread: deque[bytes | Sign] = deque()
        self._is_paused = False
        self._is_closing = False
        self._is_protocol_paused = False
        self._low_bytes, self._high_bytes = _HIGH_BYTES // 4, _HIGH_BYTES

    # -- asyncio.BaseTransport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let ``protocol`` hear what happens from now on.

        Raises:
            TypeError: it is no ``asyncio.Protocol``.
        """
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"a transport of bytes needs an asyncio.Protocol, not {type(protocol).__name__}")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        """Return who hears what happens."""
        return self._protocol

    def is_closing(self) -> bool:
        """Return whether this end is closed or about to be."""
        return self._is_closing

    def close(self) -> None:
        """Read no more; send what was written, then tell the other end that this was all."""
        if not self._is_closing:
            self._is_closing = True
            self._leave_if_sent()

    # -- asyncio.ReadTransport

    def is_reading(self) -> bool:
        """Return whether the protocol is given what arrives."""
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        """Keep what arrives until ``resume_reading``; once the window is full the other end can send no more."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Hand on what arrived meanwhile, and go on."""
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._read, context=self.context)

    # -- asyncio.WriteTransport

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set at which sizes of the write buffer, in bytes, the protocol is paused and resumed.

        Raises:
            ValueError: not ``high >= low >= 0``.
        """
        if high is None:
            high = _HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}), and low >= 0")
        self._low_bytes, self._high_bytes = low, high
        self._pause_if_full()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return both sizes in bytes, the lower first."""
        return self._low_bytes, self._high_bytes

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were written and have not left."""
        return len(self._unsent)

    def write(self, data: Bytes) -> None:
        """Send ``data``; what the window has no room for waits in the buffer. After a close or a loss it vanishes.

        Raises:
            TypeError: ``data`` is not bytes.
        """
        if not isinstance(data, Bytes):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if not self._is_closing:
            self._unsent += data
            self._flush()
            self._pause_if_full()

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        """Send all items as one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return False: TLS knows no half-closed connection."""
        return False

    def abort(self) -> None:
        """Drop what has not left and reset the connection; what is in flight may arrive or not."""
        if not self.is_lost:
            self._lose(None)
            self.peer.inward.break_off()

    # -- what the network does

    def arrive(self, cargo: bytes | Sign) -> None:
        """Take what the pipe brings."""
        if self.is_lost:
            return
        if cargo is Sign.OPEN:
            self._opened(self)
        elif cargo is Sign.RESET:
            self._lose(ConnectionResetError("the connection was reset"))
        else:
            self._unread.append(cargo)
            self._read()

    def was_read(self) -> None:
        """Send what waited for the other end to read."""
        if self._unsent:
            self._loop.call_soon(self._flush, context=self.context)

    def mute(self) -> None:
        """Let everything that this end sends from now on vanish, and tell nobody: half open."""
        self.peer.inward.is_mute = True

    def die(self) -> None:
        """The process is dead: its machine resets the connection."""
        if not self.is_lost:
            self.is_lost = self._is_closing = True
            self.peer.inward.break_off()

    # -- inside

    def _read(self) -> None:
        while self._unread and self.is_reading():
            cargo = self._unread.popleft()
            if isinstance(cargo, bytes):
                self.inward.read(len(cargo))
                self.peer.was_read()
                self._protocol.data_received(cargo)
            else:
                self._protocol.eof_received()
                self.close()

    def _flush(self) -> None:
        if self.is_lost:
            return
        outward = self.peer.inward
        room = outward.room_bytes
        if self._unsent and room > 0:
            outward.send(bytes(self._unsent[:room]))
            del self._unsent[:room]
        if self._is_protocol_paused and len(self._unsent) <= self._low_bytes:
            self._is_protocol_paused = False
            self._protocol.resume_writing()
        if self._is_closing:
            self._leave_if_sent()

    def _pause_if_full(self) -> None:
        if len(self._unsent) > self._high_bytes and not self._is_protocol_paused:
            self._is_protocol_paused = True
            self._protocol.pause_writing()

    def _leave_if_sent(self) -> None:
        if not self._unsent and not self.is_lost:
            self.peer.inward.send(Sign.END)
            self._lose(None)

    def _lose(self, error: ConnectionError | None) -> None:
        self.is_lost = self._is_closing = True
        self._unsent.clear()
        self._unread.clear()
        self._loop.call_soon(self._tell_lost, error, context=self.context)

    def _tell_lost(self, error: ConnectionError | None) -> None:
        self._protocol.connection_lost(error)
