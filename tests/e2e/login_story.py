"""What a login has to do, through real sockets: token endpoint, Open API over TLS, loopback listener, disk.

``python -m tests.e2e.login_story demo|live FOLDER`` tells it alone: so it is told to wrong programs too.
"""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.exchange_house import BALANCE, SPEC, House, Plan
from tests.token_house import Visitor

from palmbot.adapters.oauth_redirect import FILE_NAME, Redirect
from palmbot.adapters.private_file import write_private
from palmbot.bootstrap.access import access_of
from palmbot.bootstrap.token_store import store_of
from palmbot.config import Sources
from palmbot.config.credentials import load_token_settings
from palmbot.errors import RefusedError
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.grants import Application, Grant
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import plain_account
from palmbot.model import Scope
from palmbot.settings import Environment

ACCOUNTS = {Environment.DEMO: 1_000_001, Environment.LIVE: 2_000_001}
NOBODYS = 3_000_001


class Misled(Visitor):
    """A person whose browser was first sent here by a page that tries codes of its own at paths it guesses."""

    def browse(self, address: str) -> bool:
        back = urlsplit(parse_qs(urlsplit(address).query)["redirect_uri"][0])
        for path in ("/", "/palmbot/", f"{back.path}x"):
            stranger = back._replace(path=path, query="code=somebody-elses").geturl()
            self.pages.append(httpx.get(stranger, trust_env=False))
        return super().browse(address)


async def tell(folder: Path, environment: Environment) -> None:
    """Log in to one environment while the other is configured too, and use the tokens at its server."""
    other = Environment.LIVE if environment is Environment.DEMO else Environment.DEMO
    house = await open_house(folder, is_live=environment is Environment.LIVE)
    redirect = Redirect(f"http://127.0.0.1:{free_port()}/palmbot/{'p' * 24}")
    write_private(folder / "data" / "tokens" / FILE_NAME, redirect.uri.encode())
    for each in ACCOUNTS:
        house.grants.register(Application(f"{each}-client", f"planted-{each}-secret", (redirect.uri,)))
    sources = Sources(folder, environ_of(folder, house))
    settings = load_token_settings(sources, folder / "data")
    access = access_of(sources, environment, settings)
    visitor = Misled()

    tokens = await access.login.run(visitor, Scope.TRADING)

    assert [page.status_code for page in visitor.pages] == [404, 404, 404, 200]
    grant = house.grants.by_access(tokens.access_token, house.clock.utc_ms())
    assert isinstance(grant, Grant)
    assert grant.client_id == f"{environment}-client"
    assert tokens.account_id == ACCOUNTS[environment]
    assert store_of(settings, environment).load() == tokens == access.keeper.current()
    assert store_of(settings, other).load() is None
    assert stat.S_IMODE((folder / "data" / "tokens" / f"{environment}.tokens").stat().st_mode) == 0o600

    client = await house.dial()
    await client.log_in(f"{environment}-client", f"planted-{environment}-secret")
    await client.open_account(tokens.account_id, tokens.access_token)

    for wanted, code in ((ACCOUNTS[other], "ACCOUNT_OF_OTHER_ENVIRONMENT"), (NOBODYS, "ACCOUNT_NOT_GRANTED")):
        login = replace(access.login, credentials=replace(access.credentials, account=wanted))
        with pytest.raises(RefusedError, match=code):
            await login.run(Visitor(), Scope.TRADING)
        assert store_of(settings, environment).load() == tokens
    await house.close()


async def open_house(folder: Path, *, is_live: bool) -> House:
    """Open the servers of one environment; the user owns an account of each."""
    catalogue = catalogue_of(SPEC)
    demo, live = (plain_account(number, catalogue, BALANCE) for number in ACCOUNTS.values())
    live = replace(live, terms=replace(live.terms, is_live=True))
    return await House.open(folder, Plan(Knobs(per_second=None, is_live=is_live), standings=(demo, live)))


def environ_of(folder: Path, house: House) -> dict[str, str]:
    """Return variables by which demo and live are both configured, each in its own way."""
    ready = folder / "ready.json"
    ready.write_text(json.dumps(house.ready.to_json()))
    found = {"PALMBOT_TOKEN_KEY": "planted-key-of-many-letters"}
    for environment, account in ACCOUNTS.items():
        found |= {
            f"CTRADER_CLIENT_ID_{environment.upper()}": f"{environment}-client",
            f"CTRADER_CLIENT_SECRET_{environment.upper()}": f"planted-{environment}-secret",
            f"CTRADER_ACCOUNT_ID_{environment.upper()}": str(account),
            f"CTRADER_EXCHANGE_{environment.upper()}": str(ready),
        }
    return found


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(tell(Path(sys.argv[2]), Environment(sys.argv[1])))
