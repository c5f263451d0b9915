"""Where an exchange is reached: its certificates, grants and ports around an engine, and the line that says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from palmbot.errors import DataError
from palmbot.exchange.ca import server_context
from palmbot.exchange.faults import Faults
from palmbot.exchange.grants import Application, Grant, Grants, Scope
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.private_files import write_private
from palmbot.exchange.server import Server
from palmbot.exchange.token_endpoint import TOKEN_PATH
from palmbot.ports import Clock

if TYPE_CHECKING:
    from palmbot.exchange.engine import Engine

HOST: Final = "127.0.0.1"
CLIENT_ID: Final = "palmbot-simulated"
USER_ID: Final = 1


@dataclass(frozen=True, slots=True)
class Files:
    """What lies beside the books. All of it is private, and made where it is not there."""

    ca: Path  # what clients verify with
    server: Path  # certificate and key
    grants: Path

    @classmethod
    def beside(cls, books: Path) -> Files:
        """Return the files that belong to ``books``."""
        return cls(*(books.with_name(f"{books.name}.{what}") for what in ("ca.pem", "server.pem", "grants.json")))


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything that a client needs; as JSON it is the line that ``palmbot exchange`` prints."""

    host: str
    port: int
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    account_id: int
    symbol_id: int
    ca_file: str

    def to_json(self) -> dict[str, Any]:
        """Return the line's object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the exchange needs of the machine."""

    clock: Clock
    new_text: Callable[[], str]  # makes a token or secret that nobody can guess


def grants_of(files: Files, knobs: Knobs, surroundings: Surroundings, account_ids: Iterable[int]) -> Grants:
    """Return the grants as they were left; where there are none, of a new application and a user of all accounts.

    Raises:
        DataError: ``GRANTS_UNREADABLE``.
        HaltError: ``STATE_UNWRITABLE``.
    """

    def keep(body: dict[str, Any]) -> None:
        write_private(files.grants, json.dumps(body).encode())

    grants = Grants(surroundings.new_text, knobs, keep)
    if files.grants.exists():
        grants.restore(_read(files.grants))
    else:
        grants.register(Application(CLIENT_ID, surroundings.new_text(), redirect_uris=None))
    grants.add_user(USER_ID, account_ids)
    return grants


def own_grant(grants: Grants, now_ms: int) -> Grant:
    """Return the newest living grant to trade, a new one where there is none."""
    living = [each for each in grants.grants if each.scope is Scope.TRADE and each.expires_ms > now_ms]
    return living[-1] if living else grants.new_grant(CLIENT_ID, USER_ID, Scope.TRADE, now_ms)


async def open_to_clients(server: Server, files: Files, port: int = 0) -> Ready:
    """Listen on loopback and return where; the token endpoint takes the next port, or any where ``port`` is 0.

    Raises:
        UsageError: ``PORT_TAKEN``.
        DataError: ``CERTIFICATES_UNREADABLE``.
        HaltError: ``STATE_UNWRITABLE``.
    """
    desk = server.desk
    now_ms = desk.clock.utc_ms()
    context = server_context(files.ca, files.server, now_ms)
    taken = await server.listen(HOST, port, context)
    token_port = await server.listen_for_tokens(HOST, port and port + 1, USER_ID)
    grant = own_grant(desk.grants, now_ms)
    return Ready(
        host=HOST,
        port=taken,
        token_url=f"http://{HOST}:{token_port}{TOKEN_PATH}",
        client_id=grant.client_id,
        client_secret=desk.grants.secret_of(grant.client_id),
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        account_id=grant.account_ids[0],
        symbol_id=desk.engine.venue.catalogue.traded_id,
        ca_file=str(files.ca.resolve()),
    )


def server_of(engine: Engine, files: Files, surroundings: Surroundings, knobs: Knobs, faults: Faults) -> Server:
    """Return the server of all accounts of ``engine``, not yet listening."""
    grants = grants_of(files, knobs, surroundings, engine.venue.accounts)
    return Server(engine, grants, surroundings.clock, knobs, faults)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        todo = "Remove the exchange's grants file beside its state; every client logs in again."
        raise DataError("GRANTS_UNREADABLE", todo, file=path, error=type(error).__name__) from None
