"""What the broker says of a symbol and an account, asked over real TLS: its terms are traded by, or it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.exchange_house import BALANCE, SPEC, House, Plan, house_in

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader import Ctrader, CtraderConfig, CtraderWires
from palmbot.adapters.ctrader_keeper import Patience
from palmbot.adapters.ctrader_link import real_dial
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.tls import client_context
from palmbot.bootstrap.told import Told, Watch, told
from palmbot.config import Sources, load_settings
from palmbot.errors import PalmbotError, RefusedError
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.listing import Catalogue, CommissionType, DistanceUnit, TradingMode
from palmbot.exchange.opening import plain_account
from palmbot.exchange.values import AccessRights, AccountType
from palmbot.instruments import InstrumentSpec
from palmbot.live.inbox import Inbox
from palmbot.model import TermsEvent
from palmbot.protocol.statement import NOT_STATED
from palmbot.settings import CtraderCredentials, Environment, Settings

SETTINGS = replace(load_settings(Sources(folder=Path("/nowhere"), environ={})), instrument=SPEC)
LONG_ONLY = replace(SETTINGS, params=SETTINGS.params._replace(allow_short=0))


def listing(spec: InstrumentSpec = SPEC, **terms: Any) -> Catalogue:
    """Return what an exchange lists, the traded symbol under other ``terms``."""
    catalogue = catalogue_of(spec)
    traded = replace(catalogue.traded, **terms)
    return replace(catalogue, listings=(traded, *catalogue.listings[1:]))


def account(**terms: Any) -> Plan:
    """Return an exchange with an account under other ``terms``."""
    plain = plain_account(1, catalogue_of(SPEC), BALANCE)
    return Plan(standings=(replace(plain, terms=replace(plain.terms, **terms)),))


@asynccontextmanager
async def client_of(house: House, day_start_ms: int = 0) -> AsyncIterator[Ctrader]:
    """Give a client that runs."""
    ready = house.ready
    credentials = CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, 1)
    config = CtraderConfig(credentials, SPEC.symbol, day_start_ms, Patience(pause_min_ms=1, pause_max_ms=10))
    dial = real_dial(ready.host, ready.port, client_context(ready.host, Path(ready.ca_file)))
    client = Ctrader(
        config, CtraderWires(dial, SystemClock(), Random(1), FixedToken(ready.access_token), Inbox(), lambda: None)
    )
    session = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        session.cancel()
        await asyncio.gather(session, return_exceptions=True)


async def asked(folder: Path, plan: Plan, settings: Settings = SETTINGS) -> Told:
    """Return what a client is told."""
    async with house_in(folder, plan) as house, client_of(house) as client:
        return await told(client, settings)


async def refused(folder: Path, plan: Plan, settings: Settings = SETTINGS) -> RefusedError:
    """Return why a client must not trade."""
    with pytest.raises(RefusedError) as refusal:
        await asked(folder, plan, settings)
    assert refusal.value.exit_code == 3
    assert refusal.value.todo
    return refusal.value


async def test_terms_that_are_as_configured_change_nothing(tmp_path: Path) -> None:
    terms = await asked(tmp_path, Plan())
    assert terms.settings == SETTINGS
    assert [(each.name, each.configured) for each in terms.differences] == [("spread", "2"), ("slippage", "0.5")]
    assert all(each.broker == NOT_STATED for each in terms.differences)


async def test_the_brokers_terms_take_the_place_of_the_configured_ones_and_the_differences_are_named(
    tmp_path: Path,
) -> None:
    core = SPEC.core._replace(volume_min_cu=50, leverage=30, commission_rate=10**10, swap_long=-(10**9))
    theirs = replace(SPEC, core=core)
    terms = await asked(tmp_path, Plan(spec=theirs))
    assert terms.settings.instrument == theirs
    stated = [each for each in terms.differences if each.broker != NOT_STATED]
    assert {each.name: (each.configured, each.broker) for each in stated} == {
        "volume_min": ("0.01", "0.02"),
        "leverage": ("20", "30"),
        "commission": ("1", "4"),
        "swap_long": ("0", "-0.1"),
    }


async def test_money_with_more_digits_is_the_same_money(tmp_path: Path) -> None:
    theirs = replace(SPEC, core=SPEC.core._replace(money_digits=4))
    settings = (await asked(tmp_path, Plan(spec=theirs))).settings
    assert settings.balance_minor == SETTINGS.balance_minor * 100
    assert settings.instrument.core.money_digits == 4


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"rights": AccessRights.CLOSE_ONLY}, "NO_FULL_ACCESS"),
        ({"rights": AccessRights.NO_TRADING}, "NO_FULL_ACCESS"),
        ({"type": AccountType.NETTED}, "ACCOUNT_NETTED"),
        ({"type": AccountType.SPREAD_BETTING}, "ACCOUNT_SPREAD_BETTING"),
        ({"is_limited_risk": True}, "LIMITED_RISK"),
        ({"is_swap_free": True}, "SWAP_FREE"),
    ],
)
async def test_an_account_that_cannot_be_traded_is_refused(terms: dict[str, Any], code: str, tmp_path: Path) -> None:
    assert (await refused(tmp_path, account(**terms))).code == code


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"trading_mode": TradingMode.CLOSE_ONLY_MODE}, "SYMBOL_NOT_TRADED"),
        ({"trading_mode": TradingMode.DISABLED_WITH_PENDINGS_EXECUTION}, "SYMBOL_NOT_TRADED"),
        ({"trading_mode": TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION}, "SYMBOL_NOT_TRADED"),
        ({"is_enabled": False}, "SYMBOL_NOT_TRADED"),
        ({"archived_ms": 1_700_000_000_000}, "SYMBOL_ARCHIVED"),
        ({"has_short_selling": False}, "SHORTS_DISABLED"),
        ({"distance_unit": DistanceUnit.PERCENTAGE, "sl_distance": 30}, "DISTANCE_IN_PERCENT"),
        ({"commission_type": CommissionType.USD_PER_LOT}, "COMMISSION_UNFIT"),
        ({"commission_min_e8": 10**8, "commission_min_asset": "USD"}, "COMMISSION_UNFIT"),
    ],
)
async def test_a_symbol_that_cannot_be_traded_is_refused(terms: dict[str, Any], code: str, tmp_path: Path) -> None:
    assert (await refused(tmp_path, Plan(catalogue=listing(**terms)))).code == code


@pytest.mark.parametrize("terms", [{"swap_at_weekends": True}, {"swap_skip_periods": 1}])
async def test_a_swap_that_cannot_be_counted_is_refused_where_there_is_one(
    terms: dict[str, Any], tmp_path: Path
) -> None:
    assert (await asked(tmp_path, Plan(catalogue=listing(**terms)))).settings == SETTINGS
    swapped = replace(SPEC, core=SPEC.core._replace(swap_short=-1))
    assert (await refused(tmp_path, Plan(catalogue=listing(swapped, **terms)))).code == "SWAP_UNFIT"


async def test_rules_that_sell_nothing_short_trade_a_symbol_without_shorts(tmp_path: Path) -> None:
    plan = Plan(catalogue=listing(has_short_selling=False))
    assert (await asked(tmp_path, plan, LONG_ONLY)).settings == LONG_ONLY


async def test_a_symbol_whose_money_nothing_converts_is_refused(tmp_path: Path) -> None:
    catalogue = catalogue_of(replace(SPEC, quote_currency="CHF"))
    pairs = tuple(replace(each, archived_ms=1) for each in catalogue.listings[1:])
    plan = Plan(catalogue=replace(catalogue, listings=(catalogue.traded, *pairs), conversion_id=None))
    assert (await refused(tmp_path, plan)).code == "NO_CONVERSION"


async def test_a_symbol_that_is_not_listed_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(PalmbotError, match="SYMBOL_NOT_FOUND") as failure:
        await asked(tmp_path, Plan(), replace(SETTINGS, instrument=replace(SPEC, symbol="PALM.XX")))
    assert failure.value.exit_code == 2


# -- terms that change


@asynccontextmanager
async def watched(house: House, *, is_mirrored: bool = False) -> AsyncIterator[tuple[Inbox, list[str]]]:
    """Give the inbox of a bot that is told of changes, and what a person is told."""
    async with client_of(house) as client:
        inbox, notes, clock = Inbox(), list[str](), SystemClock()
        terms = await told(client, SETTINGS)
        watch = Watch(client, SETTINGS, terms, inbox, clock, notes.append, is_mirrored=is_mirrored)
        task = asyncio.create_task(watch.run())
        try:
            yield inbox, notes
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def heard(inbox: Inbox) -> TermsEvent:
    event = await inbox.get(20.0)
    assert isinstance(event, TermsEvent), event
    return event


def relist(house: House, spec: InstrumentSpec = SPEC, **terms: Any) -> None:
    """Let the exchange list the symbol under other terms, and say that it does."""
    house.engine.venue.catalogue = listing(spec, **terms)
    house.server.symbols_changed([1])


async def test_a_symbol_that_becomes_close_only_bars_entries_until_it_is_traded_again(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, watched(house) as (inbox, notes):
        relist(house, trading_mode=TradingMode.CLOSE_ONLY_MODE)
        assert (await heard(inbox)).barred.startswith("SYMBOL_NOT_TRADED: ")
        relist(house)
        assert (await heard(inbox)) == TermsEvent("", SPEC.core, SPEC.session)
        assert len(notes) == 2


async def test_an_account_that_loses_its_rights_bars_entries(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, watched(house) as (inbox, _):
        terms = house.engine.venue.accounts[1].terms
        house.engine.set_terms(replace(terms, rights=AccessRights.CLOSE_ONLY))
        assert (await heard(inbox)).barred.startswith("NO_FULL_ACCESS: ")


async def test_a_new_swap_is_gone_on_with_and_other_digits_are_not(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, watched(house) as (inbox, _):
        relist(house, replace(SPEC, core=SPEC.core._replace(swap_long=-7)))
        event = await heard(inbox)
        assert (event.barred, event.instrument.swap_long) == ("", -7)
        relist(house, replace(SPEC, core=SPEC.core._replace(lot_cu=5_000)))
        assert (await heard(inbox)).barred.startswith("TERMS_CHANGED: lot_cu")


async def test_a_dry_run_fills_under_the_terms_that_it_began_with(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house, watched(house, is_mirrored=True) as (inbox, _):
        relist(house, replace(SPEC, core=SPEC.core._replace(swap_long=-7)))
        relist(house, trading_mode=TradingMode.CLOSE_ONLY_MODE)
        assert (await heard(inbox)).barred.startswith("SYMBOL_NOT_TRADED: ")
