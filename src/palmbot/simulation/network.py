"""The network of a story: names that listen, and connections that are late, cut, half open or outlive a process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from typing import NamedTuple

from palmbot.errors import InvariantError
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.node import NODE, Node
from palmbot.simulation.pipe import Conditions, Pipe, Sign
from palmbot.simulation.transport import End

ProtocolFactory = Callable[[], asyncio.Protocol]
Dial = Callable[[ProtocolFactory], Awaitable[asyncio.Transport]]
Tap = Callable[[str, bytes], None]
"""Told the way, ``bot>exchange#1`` or ``bot<exchange#1``, and each piece of bytes that arrives there."""


class Link(NamedTuple):
    """A connection: both ends, and its name for traces."""

    name: str
    client: End
    server: End

    @property
    def is_over(self) -> bool:
        """Return whether both ends know that it is."""
        return self.client.is_lost and self.server.is_lost

    def cut(self) -> None:
        """Break it on the way: both ends hear of it, each after what was in flight to it, if that is not lost."""
        self.client.inward.break_off()
        self.server.inward.break_off()


class Network:
    """Every connection of a story.

    Args:
        loop: the story's.
        rng: the stream of this concern.
        conditions: of every connection.
        tap: listens in.
    """

    def __init__(
        self, loop: VirtualLoop, rng: random.Random, conditions: Conditions | None = None, tap: Tap | None = None
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._conditions = Conditions() if conditions is None else conditions
        self._tap = tap
        self._listeners: dict[str, _Listener] = {}
        self._links: list[Link] = []
        self._dialled = 0
        self._nodes: list[Node] = []  # whose crash closes their connections

    @property
    def links(self) -> list[Link]:
        """Return the connections that are not over, oldest first."""
        self._links = [link for link in self._links if not link.is_over]
        return list(self._links)

    def listen(self, name: str, factory: ProtocolFactory) -> None:
        """Accept connections to ``name`` in the process that is running, until it dies.

        Raises:
            InvariantError: ``NAME_TAKEN``, another living process listens there.
        """
        there = self._listeners.get(name)
        if there is not None and there.is_alive:
            raise InvariantError("NAME_TAKEN", "Give each listener of a story a name of its own.", name=name)
        self._listeners[name] = _Listener(copy_context(), factory)

    def dial(self, name: str) -> Dial:
        """Return what opens a connection to ``name``.

        It makes the protocol, calls its ``connection_made`` and returns the transport, or raises
        ``ConnectionRefusedError``. Cancelled, it gives the attempt up.
        """

        async def connect(factory: ProtocolFactory) -> asyncio.Transport:
            accepted: asyncio.Future[None] = self._loop.create_future()

            def connected(end: End) -> None:
                _greet(factory, end)
                accepted.set_result(None)

            client = self._lay(name, connected).client
            client.set_protocol(_Dialling(accepted))
            client.peer.inward.send(Sign.OPEN)
            try:
                await accepted
            except asyncio.CancelledError:
                client.abort()
                raise
            return client

        return connect

    def _lay(self, name: str, connected: Callable[[End], None]) -> Link:
        """Return a connection of which nobody has heard yet."""
        listener = self._listeners.get(name)
        if listener is not None and not listener.is_alive:
            listener = None
        here = copy_context()
        there = Context() if listener is None else listener.context.copy()  # an empty one is the machine's own
        self._dialled += 1
        caller = "world" if (node := here.get(NODE)) is None else node.name
        places = (caller, self._dialled), (name, self._dialled)
        client = End(self._loop, here, connected, {"sockname": places[0], "peername": places[1]})
        server = End(self._loop, there, partial(_accept, listener), {"sockname": places[1], "peername": places[0]})
        client.peer, server.peer = server, client
        client.inward = self._pipe(client, f"{caller}<{name}#{self._dialled}")
        server.inward = self._pipe(server, f"{caller}>{name}#{self._dialled}")
        link = Link(f"{caller}-{name}#{self._dialled}", client, server)
        self._links = [*self.links, link]
        for context in (here, there):
            self._watch(context.get(NODE))
        return link

    def _pipe(self, end: End, way: str) -> Pipe:
        def arrived(cargo: bytes | Sign) -> None:
            if self._tap is not None and isinstance(cargo, bytes):
                self._tap(way, cargo)
            end.arrive(cargo)

        return Pipe(self._loop, self._rng, self._conditions, end.context, arrived)

    def _watch(self, node: Node | None) -> None:
        if node is not None and node not in self._nodes:
            self._nodes.append(node)
            node.at_crash(partial(self._crashed, node))

    def _crashed(self, node: Node) -> None:
        for link in self.links:
            for end in (link.client, link.server):
                if end.context.get(NODE) is node:
                    end.die()


class _Listener(NamedTuple):
    context: Context
    factory: ProtocolFactory

    @property
    def is_alive(self) -> bool:
        node = self.context.get(NODE)
        return node is None or node.is_alive


class _Dialling(asyncio.Protocol):
    """Stands for the protocol of a client until the connection is there."""

    def __init__(self, accepted: asyncio.Future[None]) -> None:
        self._accepted = accepted

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._accepted.done():
            refused = ConnectionRefusedError("nobody listens there")
            refused.__cause__ = exc
            self._accepted.set_exception(refused)


def _greet(factory: ProtocolFactory, end: End) -> None:
    protocol = factory()
    end.set_protocol(protocol)
    protocol.connection_made(end)


def _accept(listener: _Listener | None, end: End) -> None:
    if listener is None:
        end.die()
        return
    end.peer.inward.send(Sign.OPEN)
    _greet(listener.factory, end)
