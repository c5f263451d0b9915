"""The face of the exchange: any number of clients over TLS, each told what it may hear (sheet 1 and 2).

``Server.connection`` makes the protocol of one client for any transport: a test or a simulation gives it one in memory,
``listen`` gives it sockets under TLS, and beside them the token endpoint over plain HTTP on the same machine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from palmbot.errors import HaltError, UsageError
from palmbot.exchange.client import Audience, Client, Key
from palmbot.exchange.connection import Connection
from palmbot.exchange.desk import Desk
from palmbot.exchange.fan import Fan, Market
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.grants import Grant, Grants
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.reference import trader_message
from palmbot.exchange.token_endpoint import TokenConnection, Tokens
from palmbot.exchange.trade_limits import TradeMeter
from palmbot.exchange.values import (
    AccessRights,
    MarginCalled,
    MarginCallSet,
    MarginMoved,
    Report,
    Told,
    TraderChanged,
    TrailMoved,
)
from palmbot.exchange.wire import called_message, margin_message, report_message, trail_message
from palmbot.ports import Clock
from palmbot.protocol.messages import Message, pb
from palmbot.units import HOUR_MS, SECOND_MS

if TYPE_CHECKING:
    from palmbot.exchange.engine import Engine

BACKLOG: Final = 1_024
HANDSHAKE_S: Final = 10.0
SHUTDOWN_S: Final = 5.0
EXPIRY_LOOK_MS: Final = HOUR_MS  # tokens may be made meanwhile that expire sooner than those that are known


class Session(NamedTuple):
    """An account that is open on a connection, and by which grant."""

    client: Client
    account_id: int
    key: Key


class Server:
    """A listener of the engine, with connections.

    Args:
        engine: the exchange itself.
        grants: who may use which account.
        clock: the machine's.
        knobs: of the wire.
        faults: what goes wrong on purpose.
    """

    def __init__(self, engine: Engine, grants: Grants, clock: Clock, knobs: Knobs, faults: Faults) -> None:
        venue = engine.venue
        self.clients: dict[int, Client] = {}
        self.connections: dict[int, Connection] = {}
        self.on_failure: Callable[[HaltError], None] = lambda _: None
        self.on_farewell: Callable[[int, str], None] = lambda _number, _why: None
        market = Market(engine.prices, venue.catalogue.listing, venue.last, venue.unrealized, self._digits)
        audience = Audience()
        fan, meter = Fan(audience, market, knobs), TradeMeter(knobs.trade_limits if knobs.has_limits else ())
        self.desk = Desk(
            engine, engine.prices, fan, audience, meter, grants, knobs, faults, clock, self._connections_of
        )
        self._numbers = 0
        self._listening: list[asyncio.Server] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None  # somebody waits for the last connection to end
        grants.ended = self._grant_ended
        engine.add_listener(self)

    # -- connections

    def connection(self) -> Connection:
        """Return the protocol of a new client, for a transport of any kind."""
        self._numbers += 1
        return Connection(self.desk, self._numbers, self)

    async def listen(self, host: str, port: int, context: ssl.SSLContext) -> int:
        """Accept clients over TLS; return the port, a free one where ``port`` is 0.

        Raises:
            UsageError: ``PORT_TAKEN``.
        """
        return await self._listen(
            self.connection,
            (host, port),
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=SHUTDOWN_S,
        )

    async def listen_for_tokens(self, host: str, port: int, user_id: int) -> int:
        """Serve the token endpoint over plain HTTP, its page saying yes for a user; return the port.

        Raises:
            UsageError: ``PORT_TAKEN``.
        """
        tokens = Tokens(self.desk.grants, self.desk.clock.utc_ms, user_id)
        return await self._listen(lambda: TokenConnection(tokens, self.desk.faults), (host, port))

    async def _listen(
        self,
        factory: Callable[[], asyncio.Protocol],
        address: tuple[str, int],
        **options: Any,  # noqa: ANN401 - as asyncio takes them
    ) -> int:
        loop, (host, port) = asyncio.get_running_loop(), address
        try:
            server = await loop.create_server(factory, host, port, backlog=BACKLOG, **options)
        except (OSError, OverflowError) as error:
            todo = "Choose another port, or end what listens there; --port 0 takes a free one."
            raise UsageError("PORT_TAKEN", todo, host=host, port=port, error=str(error)) from error
        self._listening.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept nobody, end every connection in order, cut those that do not go, and listen to the engine no more."""
        for server in self._listening:
            server.close()
        self.desk.engine.remove_listener(self)
        if self._expiry is not None:
            self._expiry.cancel()
        for connection in list(self.connections.values()):
            connection.end("the exchange stops")
        if self.connections:
            self._emptied = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._emptied, SHUTDOWN_S)
            except TimeoutError:
                for connection in list(self.connections.values()):
                    connection.cut("the exchange stops")
        for server in self._listening:
            await server.wait_closed()

    # -- connection.House

    def opened(self, connection: Connection) -> None:
        """Take in a new client."""
        number = connection.client.number
        self.connections[number], self.clients[number] = connection, connection.client
        if self._expiry is None:
            self._watch_expiry()

    def closed(self, connection: Connection, why: str) -> None:
        """Let a client go."""
        number = connection.client.number
        self.connections.pop(number, None)
        self.clients.pop(number, None)
        self.on_farewell(number, why)
        if self._emptied is not None and not self._emptied.done() and not self.connections:
            self._emptied.set_result(None)

    def failed(self, error: HaltError) -> None:
        """The books cannot be written: nobody is told anything any more."""
        for connection in list(self.connections.values()):
            connection.cut("the exchange failed")
        self.on_failure(error)

    def _connections_of(self, client_id: str) -> int:
        applications = (client.application for client in self.clients.values())
        return sum(each is not None and each.client_id == client_id for each in applications)

    # -- engine.Listener

    def told(self, account_id: int, told: Told) -> None:
        """Tell an event to every connection that authorised the account."""
        asker, _, asked = told.asked.partition(":") if isinstance(told, Report) else ("", "", "")
        is_told_to_all = self.desk.knobs.tells_asking_id
        message = self._message(account_id, told)
        for client in self._on(account_id):
            client.outlet.send(message, asked if is_told_to_all or asker == str(client.number) else "")
            client.outlet.flush()
        if isinstance(told, TraderChanged):
            rights = self.desk.engine.venue.accounts[account_id].terms.rights
            if rights is AccessRights.NO_LOGIN:
                self.drop_accounts([account_id])

    def spot(self, symbol_id: int, tick: FeedTick) -> None:
        """Tell a tick to every subscriber."""
        self.desk.fan.spot(symbol_id, tick)

    def ended(self) -> None:
        """The market stands still from here on; clients are served all the same."""

    def _on(self, account_id: int) -> list[Client]:
        return list(self.desk.audience.accounts.of(account_id).values())

    def _digits(self, account_id: int) -> int:
        return self.desk.engine.venue.accounts[account_id].terms.money_digits

    def _message(self, account_id: int, told: Told) -> Message:
        match told:
            case Report():
                return report_message(told, self._digits(account_id), self._unit(told))
            case TrailMoved():
                return trail_message(told)
            case MarginMoved():
                return margin_message(told, self._digits(account_id))
            case MarginCalled() | MarginCallSet():
                return called_message(told)
        account = self.desk.engine.venue.accounts[account_id]
        return pb.TraderUpdatedEvent(ctidTraderAccountId=account_id, trader=trader_message(account))

    def _unit(self, report: Report) -> str:
        about = report.order or report.position
        listing = None if about is None else self.desk.engine.venue.catalogue.listing(about.symbol_id)
        return "" if listing is None else listing.spec.unit

    # -- what ends sessions

    def drop_accounts(self, account_ids: Iterable[int] | None = None) -> None:
        """End the sessions of accounts, of all where none are named; the connections stay, as at a weekend."""
        named = list(self.desk.engine.venue.accounts) if account_ids is None else list(account_ids)
        for client in list(self.clients.values()):
            self._disconnect(client, [each for each in named if each in client.keys])

    def end_application(self, client_id: str, reason: str) -> None:
        """End the sessions of an application on all its connections, which stay."""
        for client in list(self.clients.values()):
            if client.application is not None and client.application.client_id == client_id:
                client.forget_all()
                client.outlet.send(pb.ClientDisconnectEvent(reason=reason))
                client.outlet.flush()

    def symbols_changed(self, symbol_ids: Iterable[int]) -> None:
        """Tell every account session that symbols are to be read again."""
        changed = list(symbol_ids)
        for client in list(self.clients.values()):
            for account_id in client.keys:
                client.outlet.send(pb.SymbolChangedEvent(ctidTraderAccountId=account_id, symbolId=changed))
            client.outlet.flush()

    def _grant_ended(self, grant: Grant, reason: str) -> None:
        """End the sessions that a dead pair of tokens opened, after the answer to whoever ended it."""
        wait_s = self.desk.knobs.old_sessions_ms / SECOND_MS
        asyncio.get_running_loop().call_later(wait_s, self._invalidate, self._sessions_of(grant), reason)

    def _sessions_of(self, grant: Grant) -> list[Session]:
        return [
            Session(client, account_id, key)
            for client in self.clients.values()
            for account_id, key in client.keys.items()
            if key.grant_id == grant.grant_id
        ]

    def _invalidate(self, sessions: Iterable[Session], reason: str) -> None:
        """End sessions that did not end, or begin anew with other tokens, meanwhile."""
        of_client: dict[Client, list[int]] = {}
        for client, account_id, key in sessions:
            if client.keys.get(account_id) is key:
                of_client.setdefault(client, []).append(account_id)
        for client, accounts in of_client.items():
            client.outlet.send(pb.AccountsTokenInvalidatedEvent(ctidTraderAccountIds=accounts, reason=reason))
            self._disconnect(client, accounts)

    def _disconnect(self, client: Client, account_ids: Iterable[int]) -> None:
        for account_id in account_ids:
            client.forget(account_id)
            client.outlet.send(pb.AccountDisconnectEvent(ctidTraderAccountId=account_id))
        client.outlet.flush()

    def _watch_expiry(self) -> None:
        """End the sessions whose tokens have expired, and look again when the next ones do."""
        self._expiry = None
        grants, now_ms = self.desk.grants.grants, self.desk.clock.utc_ms()
        for grant in grants:
            if grant.expires_ms <= now_ms:
                self._invalidate(self._sessions_of(grant), "Access token has expired")
        if self.clients:
            coming_ms = [each.expires_ms - now_ms for each in grants if each.expires_ms > now_ms]
            wait_ms = min([*coming_ms, EXPIRY_LOOK_MS])
            self._expiry = asyncio.get_running_loop().call_later(wait_ms / SECOND_MS, self._watch_expiry)
