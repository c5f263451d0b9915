"""A dry run against a server that plays cTrader: what it says on the wire, what it fills, and what it cannot do."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import pytest
from tests.e2e.login_story import ACCOUNTS, environ_of, open_house
from tests.exchange_house import ASK, BALANCE, BID, SPEC, House

from palmbot.adapters import ctrader_reader
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader
from palmbot.adapters.ctrader_lag import QUOTES
from palmbot.adapters.ctrader_reader import READING, CtraderReader
from palmbot.adapters.journal import Journal
from palmbot.bootstrap.access import Access, access_of
from palmbot.bootstrap.counterparty import Counterparty, Home
from palmbot.bootstrap.dry_run import dry_run
from palmbot.bootstrap.place import place_of
from palmbot.config import Sources, load_settings
from palmbot.config.credentials import load_token_settings
from palmbot.errors import InvariantError, RefusedError, RejectedError
from palmbot.exchange.broker import Broker
from palmbot.exchange.grants import Application
from palmbot.exchange.grants import Scope as GrantScope
from palmbot.live.inbox import Inbox
from palmbot.live.startup import patiently
from palmbot.model import (
    BrokerEvent,
    Granted,
    GrantedAccount,
    IntentKind,
    LinkEvent,
    LinkState,
    OrderEvent,
    OrderIntent,
    Quote,
    Scope,
    Tokens,
)
from palmbot.protocol.codec import request_of
from palmbot.protocol.events import Received, Unknown
from palmbot.protocol.messages import pb
from palmbot.protocol.session import Role, Session
from palmbot.settings import Environment, Settings
from palmbot.units import PX

USER_ID = 1
Event = TypeVar("Event", bound=BrokerEvent)


@dataclass
class Rig:
    """A house that plays demo or live, and everything that a dry run there needs."""

    folder: Path
    house: House
    environment: Environment
    access: Access
    settings: Settings
    inbox: Inbox = field(default_factory=Inbox)
    notes: list[str] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)  # payload types that the house was sent
    on_heard: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def run(self, access: Access | None = None, **changes: Any) -> AsyncIterator[Counterparty]:
        clock = SystemClock()
        settings = replace(self.settings, **changes)
        place, settings = place_of(settings, clock)
        place.folder.mkdir(parents=True, exist_ok=True)
        home = Home(place, Journal.open("sqlite://", inline=True), self.inbox, clock, in_memory=False)
        async with dry_run(settings, home, access or self.access, self.notes.append) as other:
            yield other

    async def next(self, kind: type[Event]) -> Event:
        event = await self.inbox.get(20.0)
        assert isinstance(event, kind), event
        return event

    def tokens(self, account_id: int | None = None) -> Tokens:
        """Return living tokens as a login would store them."""
        now_ms = self.house.clock.utc_ms()
        grant = self.house.grants.new_grant(f"{self.environment}-client", USER_ID, GrantScope.TRADE, now_ms)
        own = ACCOUNTS[self.environment] if account_id is None else account_id
        granted = Granted(Scope.TRADING, (GrantedAccount(own, self.environment is Environment.LIVE, 1, "house"),))
        return Tokens(grant.access_token, grant.refresh_token, now_ms, grant.expires_ms, granted, own)

    def keep(self, tokens: Tokens) -> None:
        with self.access.store.locked():
            self.access.store.save(tokens)


@asynccontextmanager
async def rig_in(folder: Path, environment: Environment = Environment.DEMO) -> AsyncIterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)
        house = await open_house(folder, is_live=environment is Environment.LIVE)
        house.grants.register(
            Application(f"{environment}-client", f"planted-{environment}-secret", ("http://127.0.0.1/x",))
        )
        given = environ_of(folder, house)
        given.pop(f"CTRADER_ACCOUNT_ID_{environment.upper()}")
        options = {"--env": environment.value, "--symbol": "always"}
        (folder / "palmbot.toml").write_text('[instrument.always]\nbase = "palm_oil"\nsession = "always"\n')
        sources = Sources(folder, given, options=options)
        settings = load_settings(sources)
        settings = replace(
            settings, data_dir=folder / "data", run=replace(settings.run, dry_run=True, period_ms=60_000)
        )
        access = access_of(sources, environment, load_token_settings(sources, settings.data_dir))
        rig = Rig(folder, house, environment, access, settings)
        rig.keep(rig.tokens())
        event_of = Session.next_event

        def watched(session: Session) -> Any:
            event = event_of(session)
            if session._role is Role.SERVER and isinstance(event, Received | Unknown):
                rig.heard.append(event.payload_type)
                rig.on_heard()
            return event

        patch.setattr(Session, "next_event", watched)
        try:
            yield rig
        finally:
            await house.close()


def buys(at_ms: int) -> OrderIntent:
    return OrderIntent(
        *(IntentKind.ENTER, "ab12.rt.PALMOI.h8k2z.E1.3", SPEC.symbol, 1, SPEC.core.lot_cu, 50, at_ms),
        sl_px=60 * PX,
        tp_px=80 * PX,
    )


def reachable(*roots: object) -> Iterator[object]:
    """Yield every object that ``roots`` lead to; not through modules and classes, which lead everywhere."""
    seen: dict[int, None] = {}
    pile = list(roots)
    while pile:
        each = pile.pop()
        if id(each) in seen or isinstance(each, ModuleType | type):
            continue
        seen[id(each)] = None
        yield each
        if isinstance(each, FunctionType):
            pile += [cell.cell_contents for cell in each.__closure__ or ()]
        else:
            pile += gc.get_referents(each)


@pytest.mark.parametrize("environment", list(ACCOUNTS))
async def test_orders_are_filled_here_and_the_broker_hears_questions_alone(
    tmp_path: Path, environment: Environment
) -> None:
    async with rig_in(tmp_path, environment) as rig, rig.run() as other:
        rig.house.tick()
        await other.quotes.history(SPEC.symbol, 60_000, 10)
        await other.quotes.subscribe(SPEC.symbol)
        rig.house.tick(BID + 100_000)
        while (quote := await rig.next(Quote)).bid_px != BID + 100_000:
            pass
        assert (quote.ask_px, quote.ts_ms) == (ASK + 100_000, rig.house.now_ms)
        await other.trading.submit(buys(quote.ts_ms))
        _, filled, guarded = [await rig.next(OrderEvent) for _ in range(3)]
        assert filled.fill is not None
        assert filled.fill.price_px == ASK + 100_000 + SPEC.core.slippage
        assert guarded.position is not None
        rig.house.tick(BID - 100 * PX)
        closed = await rig.next(OrderEvent)
        assert closed.fill is not None
        assert closed.fill.price_px == BID - 100 * PX - SPEC.core.slippage
        snapshot = await other.trading.account()
        assert closed.fill.close is not None
        assert snapshot.balance_minor == closed.fill.close.balance_minor < BALANCE
        # and at the broker nothing happened
        account = rig.house.engine.venue.accounts[ACCOUNTS[environment]]
        assert (account.standing.balance_minor, account.positions, account.orders) == (BALANCE, {}, {})
        assert rig.house.engine.venue.mark.counters == type(rig.house.engine.venue.mark.counters)()
    assert rig.heard
    assert set(rig.heard) <= READING
    assert rig.notes[0].startswith(f"{environment.upper()} DRY RUN of account {ACCOUNTS[environment]} at ")
    assert rig.notes[0].endswith("no order leaves this machine.")


async def test_no_object_of_a_dry_run_leads_an_order_to_the_wire(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig, rig.run() as other:
        running = [task for task in asyncio.all_tasks() if task.get_name() == "session"]
        found = list(reachable(other, *running, *(task.get_coro() for task in running)))
        clients = [each for each in found if isinstance(each, CtraderReader)]
        sessions = [each for each in found if isinstance(each, Session) and each._role is Role.CLIENT]
        assert (len(clients), len(sessions)) == (1, 1)
        assert not [each for each in found if isinstance(each, Ctrader)]
        assert {type(each) for each in found if hasattr(each, "submit")} == {Broker}
        assert sessions[0]._config.may_send == READING
        link = clients[0]._keeper.link()
        assert link._session is sessions[0]
        before = len(rig.heard)
        with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
            link.tell(request_of(buys(1), clients[0]._known()[1].terms))
        await clients[0].standing()
        assert set(rig.heard[before:]) <= READING


async def test_the_watch_on_the_wire_sees_an_order_that_is_let_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctrader_reader.CtraderReader, "may_send", None)
    async with rig_in(tmp_path) as rig, rig.run() as other:
        assert isinstance(other.quotes, CtraderReader)
        link = other.quotes._keeper.link()
        link.tell(request_of(buys(1), other.quotes._known()[1].terms))
        await other.quotes.standing()
        assert not set(rig.heard) <= READING


async def test_a_link_that_is_cut_while_a_dry_run_starts_comes_back(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        cuts: list[int] = [pb.ACCOUNT_AUTH_REQ, pb.ASSET_LIST_REQ, pb.GET_TRENDBARS_REQ]

        def cut() -> None:
            if cuts and rig.heard[-1] == cuts[0]:
                del cuts[0]
                next(iter(rig.house.server.connections.values())).cut("the test")

        rig.on_heard = cut
        async with rig.run() as other:
            bars = await patiently(SystemClock(), lambda: other.quotes.history(SPEC.symbol, 60_000, 10))
        assert (list(bars), cuts) == ([], [])
        assert len(rig.house.farewells) >= 3


async def test_balance_leverage_and_terms_are_the_accounts_and_the_broker_wins(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        spec = rig.settings.instrument
        other_lot = replace(spec, core=spec.core._replace(lot_cu=spec.core.lot_cu * 2, leverage=3))
        async with rig.run(instrument=other_lot, balance_minor=77) as other:
            told = other.settings
            assert (told.balance_minor, told.instrument.core.lot_cu) == (BALANCE, SPEC.core.lot_cu)
            snapshot = await other.trading.account()
            assert (snapshot.balance_minor, snapshot.leverage, snapshot.hedged) == (BALANCE, SPEC.core.leverage, True)
            assert [note for note in rig.notes if note.startswith("lot: ")]


async def test_a_balance_that_a_person_said_is_the_one_it_begins_with(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig, rig.run(balance_minor=1_234_500, has_balance=True) as other:
        assert (await other.trading.account()).balance_minor == 1_234_500


async def test_the_market_clock_is_utc_at_ctraders_own_servers_and_the_quotes_at_an_exchange_here(
    tmp_path: Path,
) -> None:
    async with rig_in(tmp_path) as rig:
        async with rig.run() as other:
            assert other.market_ms is None
            assert other.series.synthetic
        real = replace(rig.access, credentials=replace(rig.access.credentials, exchange_file=None))
        async with rig.run(real) as other:
            assert other.market_ms is not None
            assert abs(other.market_ms() - rig.house.clock.utc_ms()) < 10_000
            assert not other.series.synthetic


async def test_a_clock_far_ahead_of_the_brokers_quotes_is_refused(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        real = replace(rig.access, credentials=replace(rig.access.credentials, exchange_file=None))
        async with rig.run(real) as other:
            await other.quotes.subscribe(SPEC.symbol)
            rig.house.now_ms = rig.house.clock.utc_ms() - 60_000
            for number in range(QUOTES + 1):
                rig.house.tick(BID + 1_000 * number)
                await rig.next(Quote)
            beside = [asyncio.create_task(each()) for each in other.beside]
            ended, running = await asyncio.wait(beside, timeout=20.0, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
            (failure,) = [task.exception() for task in ended]
            assert isinstance(failure, RefusedError)
            assert failure.code == "CLOCK_AHEAD"


async def test_a_live_account_under_demo_is_refused(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        credentials = replace(rig.access.credentials, account=ACCOUNTS[Environment.LIVE])
        with pytest.raises(RefusedError, match="ACCOUNT_OF_OTHER_ENVIRONMENT"):
            async with rig.run(replace(rig.access, credentials=credentials)):
                pass


async def test_without_tokens_a_person_is_asked_to_log_in_and_nobody_is_called(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        with rig.access.store.locked():
            rig.access.store.clear()
        with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
            async with rig.run():
                pass
        assert rig.heard == []


async def test_tokens_that_another_process_renewed_are_read_anew_and_nobody_renews_them_because_of_it(
    tmp_path: Path,
) -> None:
    async with rig_in(tmp_path) as rig, rig.run() as other:
        rig.house.tick()
        await other.quotes.subscribe(SPEC.symbol)
        await rig.next(Quote)
        renewed = await rig.access.keeper.renew()
        lost = await rig.next(LinkEvent)
        assert (lost.state, lost.detail) == (LinkState.LOST, "AccountsTokenInvalidatedEvent")
        assert (await rig.next(LinkEvent)).state is LinkState.READY
        assert (await rig.next(Quote)).bid_px == BID
        assert rig.access.store.load() == renewed
        assert len(rig.house.server.connections) == 1


async def test_a_second_start_goes_on_with_the_position_of_the_first(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        async with rig.run() as other:
            rig.house.tick()
            await other.quotes.subscribe(SPEC.symbol)
            await rig.next(Quote)
            await other.trading.submit(buys(rig.house.now_ms))
            held = (await other.trading.account()).positions
            assert len(held) == 1
        async with rig.run(balance_minor=5, has_balance=True) as other:
            snapshot = await other.trading.account()
            assert (snapshot.positions, snapshot.balance_minor) == (held, BALANCE)
    assert (tmp_path / "data" / "demo-dry" / "exchange.sqlite").exists()
    assert not (tmp_path / "data" / "exchange.sqlite").exists()


def test_a_ready_line_of_another_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text(
        json.dumps({"host": "198.51.100.7", "port": 1, "token_url": "http://198.51.100.7/x", "ca_file": "x"})
    )
    given = {
        "CTRADER_CLIENT_ID_DEMO": "a",
        "CTRADER_CLIENT_SECRET_DEMO": "b",
        "CTRADER_EXCHANGE_DEMO": str(tmp_path / "ready.json"),
    }
    sources = Sources(tmp_path, given)
    with pytest.raises(RefusedError, match="EXCHANGE_NOT_LOOPBACK"):
        access_of(sources, Environment.DEMO, load_token_settings(sources, tmp_path))
