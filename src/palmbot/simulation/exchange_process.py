"""The exchange as a process of a story: engine, books and server, reached by its name instead of over TLS."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from palmbot.exchange.books import Books
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.faults import Faults
from palmbot.exchange.feed import FileFeed
from palmbot.exchange.grants import Application, Grants, Scope
from palmbot.exchange.history import EVERYTHING
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning, Pace
from palmbot.exchange.premises import CLIENT_ID, USER_ID
from palmbot.exchange.server import Server
from palmbot.exchange.translation import bot_fill
from palmbot.model import Fill
from palmbot.ports import Clock
from palmbot.settings import CtraderCredentials, Environment
from palmbot.simulation.network import Network
from palmbot.simulation.script import Concern, Script, no_rolls

NAME: Final = "exchange"
ACCOUNT_ID: Final = 1


class ExchangeProcess:
    """To be made inside its node, on the loop. The market moves once somebody subscribes to quotes.

    Args:
        script: the story.
        clock: of its machine.
        network: where it listens.
        ids: draws tokens and secrets.
    """

    def __init__(self, script: Script, clock: Clock, network: Network, ids: random.Random) -> None:
        spec = script.spec
        catalogue = catalogue_of(spec)
        opening = Opening(catalogue, (plain_account(ACCOUNT_ID, catalogue, script.balance_minor),))
        feed = FileFeed(spec.core, script.market(), no_rolls())
        self.books = Books(":memory:")
        self.engine = opened(opening, feed, self.books, FreeRunning())
        self._grants = Grants(lambda: f"{ids.getrandbits(128):032x}", Knobs())
        self._grants.register(Application(CLIENT_ID, f"{ids.getrandbits(128):032x}"))
        self._grants.add_user(USER_ID, [ACCOUNT_ID])
        grant = self._grants.new_grant(CLIENT_ID, USER_ID, Scope.TRADE, clock.utc_ms())
        self.access_token = grant.access_token
        self.server = Server(self.engine, self._grants, clock, Knobs(), Faults(script.rng(Concern.FAULTS)))
        network.listen(NAME, self.server.connection)
        pace = Pace(clock, script.speed, spec.session)
        self.market = asyncio.get_running_loop().create_task(self.engine.run(pace), name="market")

    @property
    def credentials(self) -> CtraderCredentials:
        """What a client logs in with, beside the access token."""
        return CtraderCredentials(Environment.PAPER, CLIENT_ID, self._grants.secret_of(CLIENT_ID), ACCOUNT_ID)

    @property
    def balance_minor(self) -> int:
        """The account's balance."""
        return self.engine.venue.accounts[ACCOUNT_ID].balance_minor

    def fills(self) -> list[Fill]:
        """Return every deal in the books that moved something, oldest first."""
        return [bot_fill(view) for view in reversed(self.books.history.deals(ACCOUNT_ID, EVERYTHING)) if view.filled_cu]

    async def close(self) -> None:
        """Stop in order."""
        self.market.cancel()
        await asyncio.gather(self.market, return_exceptions=True)
        await self.server.close()
        self.books.close()
