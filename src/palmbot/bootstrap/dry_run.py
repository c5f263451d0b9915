"""A dry run: a real account is read, and orders are filled in memory, at its quotes.

Nothing here can send an order to a broker. The client is a ``CtraderReader``, which has no such method and whose
sessions refuse to make the bytes of one; what the bot trades with is the exchange in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from palmbot.adapters.aside import aside
from palmbot.adapters.chance import secret_bytes
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_link import Dial, real_dial
from palmbot.adapters.ctrader_login import FixedToken, KeptToken, TokenSource
from palmbot.adapters.ctrader_reader import CtraderConfig, CtraderReader, CtraderWires
from palmbot.adapters.tls import client_context
from palmbot.adapters.tokens import LOOK_EVERY_MS, TokenKeeper
from palmbot.bootstrap.access import Access
from palmbot.bootstrap.counterparty import ACCOUNT_ID, Beside, Counterparty, Home, OnNote, following
from palmbot.bootstrap.market import generated_series, timeline_of
from palmbot.bootstrap.provenance import noise_notes
from palmbot.bootstrap.punctual import Punctual
from palmbot.bootstrap.ready import read_ready
from palmbot.bootstrap.told import Watch, noted, told
from palmbot.core.types import Profile
from palmbot.errors import InvariantError, PalmbotError, RefusedError
from palmbot.exchange.books import Books
from palmbot.exchange.broker import Broker
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.conduct import Conduct, Delays
from palmbot.exchange.engine import Engine
from palmbot.exchange.mirror import Mirror, QuotedFeed
from palmbot.exchange.opening import Opening, opened, plain_account
from palmbot.exchange.pacer import FreeRunning
from palmbot.live.startup import patiently
from palmbot.model import AccountSnapshot
from palmbot.research.result import DataSet
from palmbot.settings import CtraderCredentials, Environment, Settings

# An order meets the newest quote at once: what a real one loses on its way is the instrument's slippage.
CONDUCT = Conduct(Delays(fill_ms=0, protect_ms=0))
NOTE = "DRY RUN: prices and terms are the broker's, orders were filled on this machine; none was sent to anybody."


@dataclass(frozen=True, slots=True)
class Whom:
    """The account that is read. ``keeper`` renews its tokens; None where nobody needs to."""

    credentials: CtraderCredentials
    where: str
    dial: Dial
    tokens: TokenSource
    keeper: TokenKeeper | None = None


@asynccontextmanager
async def dry_run(
    settings: Settings, home: Home, access: Access | None, on_note: OnNote
) -> AsyncIterator[Counterparty]:
    """Read a real account, or one at an exchange in another process, and open the exchange in memory at its quotes.

    Args:
        settings: what is configured; the broker's terms take the place of it.
        home: of the bot.
        access: to the account; None: the exchange whose ready line the settings name.
        on_note: is told what a person should know.

    Raises:
        ConfigError: a setting is wrong.
        RejectedError: a person must log in.
        RefusedError: this account or symbol cannot be traded.
        RetryError: the broker does not answer.
    """
    whom = await _granted(access) if access is not None else _at_exchange(settings)
    mirror = Mirror(home.inbox)
    reader = _reader(settings, home, whom, mirror)
    session = asyncio.create_task(reader.run(), name="session")
    try:
        terms = await patiently(home.clock, partial(told, reader, settings))
        standing = await patiently(home.clock, reader.standing)
        configured, settings = settings, terms.settings
        if not settings.has_balance:
            settings = replace(settings, balance_minor=standing.balance_minor)
        _refuse_empty(settings, standing)
        doubts = [line for line in noise_notes(settings) if line not in noise_notes(configured)]  # at their charges
        for line in (*_introduction(settings, whom, standing), *noted(terms.differences), *doubts):
            on_note(line)
        with closing(Books(":memory:" if home.in_memory else home.place.books)) as books:
            engine = _exchange(settings, standing, books)
            broker = Broker(engine, home.inbox)
            mirror.show(engine)
            yield Counterparty(
                settings=settings,
                quotes=reader,
                trading=broker,
                pacer=FreeRunning(),
                timeline=timeline_of(settings),
                series=_series(settings, whom, standing),
                beside=(
                    *_beside(session, mirror, whom, (home.clock, on_note)),
                    Watch(reader, configured, terms, home.inbox, home.clock, on_note, is_mirrored=True).run,
                    Punctual(reader, on_note).run,
                ),
                costs=broker.costs,
                market_ms=None if whom.credentials.is_simulated else home.clock.utc_ms,
                differences=terms.differences,
                account_id=standing.account_id,
            )
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


# -- whom


async def _granted(access: Access) -> Whom:
    """Return the account that a login chose, unless another one is configured."""
    tokens = await aside(access.keeper.current)  # a keyring may ask a person
    credentials, endpoints = access.credentials, access.endpoints
    if credentials.account is None:
        credentials = replace(credentials, account=tokens.account_id)
    dial = real_dial(endpoints.host, endpoints.port, client_context(endpoints.host, endpoints.ca_file))
    where = f"{endpoints.host}:{endpoints.port}"
    return Whom(credentials, where, dial, KeptToken(access.keeper), access.keeper)


def _at_exchange(settings: Settings) -> Whom:
    if settings.run.exchange_file is None:
        raise InvariantError("NOBODY_TO_READ", "Report this: a dry run began without an account.")
    ready = read_ready(settings.run.exchange_file)
    credentials = CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, ready.account_id)
    dial = real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file)))
    return Whom(credentials, f"{ready.host}:{ready.port}", dial, FixedToken(ready.access_token))


def _reader(settings: Settings, home: Home, whom: Whom, mirror: Mirror) -> CtraderReader:
    spec = settings.instrument
    rng = Random(int.from_bytes(secret_bytes(8)))
    wires = CtraderWires(whom.dial, home.clock, rng, whom.tokens, mirror, home.inbox.wake)
    return CtraderReader(CtraderConfig(whom.credentials, spec.symbol, spec.core.day_start_ms), wires)


def _refuse_empty(settings: Settings, standing: AccountSnapshot) -> None:
    if settings.balance_minor <= 0:
        todo = "Say what the dry run begins with: --balance N."
        raise RefusedError("ACCOUNT_EMPTY", todo, account_id=standing.account_id, balance_minor=standing.balance_minor)


# -- the exchange in memory


def _exchange(settings: Settings, standing: AccountSnapshot, books: Books) -> Engine:
    """Return an exchange with one account of the real one's leverage; the books' own balance goes on."""
    catalogue = catalogue_of(settings.instrument)
    plain = plain_account(ACCOUNT_ID, catalogue, settings.balance_minor)
    terms = plain.terms
    if standing.leverage > 0:
        terms = replace(terms, leverage_in_cents=standing.leverage * 100)
    engine = opened(Opening(catalogue, (replace(plain, terms=terms),), CONDUCT), QuotedFeed(), books, FreeRunning())
    if engine.venue.accounts[ACCOUNT_ID].terms != terms:  # the broker changed them since the books were begun
        engine.set_terms(terms)
    return engine


def _series(settings: Settings, whom: Whom, standing: AccountSnapshot) -> DataSet:
    synthetic = whom.credentials.is_simulated
    made = generated_series(settings)
    label = " (SYNTHETIC)" if synthetic else ""
    return replace(
        made,
        name=f"quotes of account {standing.account_id} at {whom.where}{label}",
        notes=(NOTE, *(made.notes if synthetic else ())),
        synthetic=synthetic,
    )


def _introduction(settings: Settings, whom: Whom, standing: AccountSnapshot) -> list[str]:
    """Return what a person should know before it begins."""
    kind = "" if whom.credentials.environment is Environment.PAPER else f"{whom.credentials.environment.upper()} "
    lines = [f"{kind}DRY RUN of account {standing.account_id} at {whom.where}: no order leaves this machine."]
    if settings.data.sentiment_file is None and settings.params.profile == Profile.RSI_SENTIMENT:
        lines.append("No sentiment is known (--sentiment F): this profile will not enter.")
    return lines


# -- beside the bot


def _beside(
    session: asyncio.Task[None], mirror: Mirror, whom: Whom, tells: tuple[SystemClock, OnNote]
) -> tuple[Beside, ...]:
    always = (partial(following, session), mirror.run)
    return always if whom.keeper is None else (*always, partial(keep_tokens, whom.keeper, *tells))


async def keep_tokens(keeper: TokenKeeper, clock: SystemClock, on_note: OnNote) -> None:
    """Renew tokens days ahead. What only a person can mend is said, and no reason to stop while the tokens live."""

    def tell(failure: PalmbotError) -> None:
        on_note(f"The tokens could not be renewed. {failure}")

    while True:
        try:
            await keeper.keep(tell)
        except PalmbotError as failure:
            tell(failure)
        await clock.sleep(LOOK_EVERY_MS / 1_000)
