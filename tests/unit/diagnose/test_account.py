"""Looks at what the broker says, over TLS to a broker that says what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.scripted_peer import (
    ACCOUNT,
    LOGIN,
    MYR,
    PAIR,
    PALM,
    SYMBOL,
    TOKEN,
    USD,
    Peer,
    accounts,
    error,
    full_symbol,
    silence,
    symbols,
)
from tests.tls_servers import BAD, GOOD, HERE, serving, trust_in_root

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_visit import Target, Visit
from palmbot.adapters.tls import client_context
from palmbot.config import Sources, load_settings
from palmbot.config.terms import differences
from palmbot.diagnose import account as looks
from palmbot.diagnose.account import Opened
from palmbot.errors import ConfigError, PalmbotError, RefusedError, RetryError
from palmbot.protocol.messages import Message, pb
from palmbot.settings import CtraderCredentials, Environment, Settings

CREDENTIALS = CtraderCredentials(Environment.DEMO, "my-app", "s3cret")
SETTINGS = load_settings(Sources(folder=Path("/nowhere"), environ={}))
Answer = Iterable[Message]


@asynccontextmanager
async def broker(folder: Path, *, answer_ms: int = 5_000) -> AsyncIterator[tuple[Peer, Visit]]:
    """Run a broker whose every answer is good; yield it with a line to it."""
    async with serving(GOOD) as served:
        served.peer.answers[pb.VersionReq] = lambda _: [pb.VersionRes(version="1")]
        served.peer.answers[pb.AssetListReq] = lambda _: [
            pb.AssetListRes(
                ctidTraderAccountId=ACCOUNT,
                asset=[pb.Asset(assetId=MYR, name="MYR"), pb.Asset(assetId=USD, name="USD")],
            )
        ]
        target = Target(HERE, served.port, HERE, client_context(HERE, trust_in_root(folder)))
        async with Visit(target, SystemClock(), answer_ms) as line:
            yield served.peer, line


def says(peer: Peer, request: type[Message], *messages: Message) -> None:
    """Let the broker answer ``request`` otherwise."""
    peer.answers[request] = lambda _: messages


async def opened(line: Visit) -> Opened:
    """Return the account, opened on a line that has not opened it yet."""
    await line.application(CREDENTIALS)
    return (await looks.look_at_account(line, CREDENTIALS, TOKEN)).value


async def refused(line: Visit) -> PalmbotError:
    """Return why the account was not opened."""
    with pytest.raises(PalmbotError) as failure:
        await opened(line)
    return failure.value


# -- a line


async def test_any_answer_shows_that_the_server_is_there(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        await line.greet()
        says(peer, pb.VersionReq, error("CH_CLIENT_NOT_AUTHENTICATED"))
        await line.greet()


async def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with broker(tmp_path, answer_ms=20) as (peer, line):
        peer.answers[pb.VersionReq] = silence
        with pytest.raises(RetryError, match="NO_ANSWER"):
            await line.greet()


async def test_a_server_that_is_not_trusted_is_told_nothing(tmp_path: Path) -> None:
    async with serving(BAD[0]) as served:
        target = Target(HERE, served.port, HERE, client_context(HERE, trust_in_root(tmp_path)))
        with pytest.raises(ConfigError, match="CERTIFICATE_EXPIRED"):
            await Visit(target, SystemClock(), 5_000).__aenter__()
        assert served.peer.heard == []


# -- the application and the account


async def test_an_application_that_the_server_knows_is_well(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        found = await looks.look_at_application(line, CREDENTIALS)
        assert found.detail == "the server knows it, and its secret is right"
        asked = peer.asked(pb.ApplicationAuthReq)[0]
        assert (asked.clientId, asked.clientSecret) == ("my-app", "s3cret")


async def test_an_application_that_it_does_not_know_is_refused_by_its_code(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        says(peer, pb.ApplicationAuthReq, error("CH_CLIENT_AUTH_FAILURE", "not in active state"))
        with pytest.raises(ConfigError, match="CH_CLIENT_AUTH_FAILURE"):
            await looks.look_at_application(line, CREDENTIALS)


async def test_an_account_of_this_environment_is_opened_and_named(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        await line.application(CREDENTIALS)
        found = await looks.look_at_account(line, CREDENTIALS, TOKEN)
        assert found.detail == "login 1007 is a demo account, and the token permits trading"
        asked = peer.asked(pb.AccountAuthReq)[0]
        assert (asked.ctidTraderAccountId, asked.accessToken) == (ACCOUNT, TOKEN)


async def test_a_token_that_only_reads_is_named(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        listed = accounts(LOGIN)
        listed.permissionScope = pb.SCOPE_VIEW
        says(peer, pb.GetAccountListByAccessTokenReq, listed)
        await line.application(CREDENTIALS)
        assert "permits reading" in (await looks.look_at_account(line, CREDENTIALS, TOKEN)).detail


async def test_an_account_of_the_other_environment_is_refused_and_not_opened(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        says(peer, pb.GetAccountListByAccessTokenReq, accounts(LOGIN, is_live=True))
        failure = await refused(line)
        assert isinstance(failure, RefusedError)
        assert failure.code == "ACCOUNT_OF_OTHER_ENVIRONMENT"
        assert peer.asked(pb.AccountAuthReq) == []


@pytest.mark.parametrize(
    ("request_", "answer", "code"),
    [
        (pb.GetAccountListByAccessTokenReq, accounts(), "NO_ACCOUNTS"),
        (pb.GetAccountListByAccessTokenReq, accounts(1, 2), "ACCOUNT_AMBIGUOUS"),
        (pb.GetAccountListByAccessTokenReq, error("CH_ACCESS_TOKEN_INVALID"), "CH_ACCESS_TOKEN_INVALID"),
        (pb.AccountAuthReq, error("CANT_ROUTE_REQUEST"), "CANT_ROUTE_REQUEST"),
        (pb.TraderReq, error("ACCOUNT_NOT_AUTHORIZED"), "ACCOUNT_NOT_AUTHORIZED"),
    ],
)
async def test_an_account_that_cannot_be_opened_says_why(
    request_: type[Message], answer: Message, code: str, tmp_path: Path
) -> None:
    async with broker(tmp_path) as (peer, line):
        says(peer, request_, answer)
        failure = await refused(line)
        assert failure.code == code
        assert failure.todo


# -- what the account may do


def trader(peer: Peer, **fields: Any) -> None:
    """Let the broker say something else of the account."""
    answer = peer.trader()
    for name, value in fields.items():
        setattr(answer.trader, name, value)
    says(peer, pb.TraderReq, answer)


@pytest.mark.parametrize("rights", [pb.CLOSE_ONLY, pb.NO_TRADING, pb.NO_LOGIN])
async def test_an_account_without_full_access_is_not_traded(rights: pb.AccessRights, tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        assert (await looks.look_at_rights(await opened(line))).detail == "full access"
        trader(peer, accessRights=rights)
        with pytest.raises(RefusedError, match=f"NO_FULL_ACCESS: .*rights={pb.AccessRights.Name(rights)}"):
            await looks.look_at_rights(await opened(line))


async def test_a_hedged_account_is_well(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        assert (await looks.look_at_kind(await opened(line))).detail == "hedged, with swaps, leverage 1:20"
        trader(peer, leverageInCents=3_050)
        assert (await looks.look_at_kind(await opened(line))).detail.endswith("leverage 1:30.5")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"accountType": pb.NETTED}, "ACCOUNT_NETTED"),
        ({"accountType": pb.SPREAD_BETTING}, "ACCOUNT_SPREAD_BETTING"),
        ({"isLimitedRisk": True}, "LIMITED_RISK"),
        ({"swapFree": True}, "SWAP_FREE"),
    ],
)
async def test_another_kind_of_account_is_not_traded(fields: dict[str, Any], code: str, tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        trader(peer, **fields)
        with pytest.raises(RefusedError, match=code):
            await looks.look_at_kind(await opened(line))


# -- the symbol


def of_symbol(name: str) -> Settings:
    return replace(SETTINGS, instrument=replace(SETTINGS.instrument, symbol=name))


async def test_a_symbol_that_is_traded_is_found(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        account = await opened(line)
        found = await looks.look_at_symbol(account, SETTINGS)
        assert found.detail == f"PALMOIL is number {SYMBOL}, traded"
        full = full_symbol()
        full.symbol[0].enableShortSelling = False
        says(peer, pb.SymbolByIdReq, full)
        long_only = replace(SETTINGS, params=SETTINGS.params._replace(allow_short=0))
        assert (await looks.look_at_symbol(account, long_only)).detail.endswith("traded, no short selling")
        with pytest.raises(RefusedError, match="SHORTS_DISABLED"):
            await looks.look_at_symbol(account, SETTINGS)


async def test_a_symbol_that_is_not_there_is_named_with_its_neighbours(tmp_path: Path) -> None:
    async with broker(tmp_path) as (_, line):
        with pytest.raises(ConfigError, match=r"SYMBOL_NOT_FOUND: symbol=PALM.OIL near=PALMOIL"):
            await looks.look_at_symbol(await opened(line), of_symbol("PALM.OIL"))


async def test_a_symbol_that_was_retired_is_named(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        says(peer, pb.SymbolByIdReq, pb.SymbolByIdRes(ctidTraderAccountId=ACCOUNT))
        with pytest.raises(RefusedError, match="SYMBOL_ARCHIVED"):
            await looks.look_at_symbol(await opened(line), SETTINGS)


@pytest.mark.parametrize(
    "mode", [pb.CLOSE_ONLY_MODE, pb.DISABLED_WITH_PENDINGS_EXECUTION, pb.DISABLED_WITHOUT_PENDINGS_EXECUTION]
)
async def test_a_symbol_in_another_mode_is_not_traded(mode: pb.TradingMode, tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        full = full_symbol()
        full.symbol[0].tradingMode = mode
        says(peer, pb.SymbolByIdReq, full)
        with pytest.raises(RefusedError, match=f"SYMBOL_NOT_TRADED: .*mode={pb.TradingMode.Name(mode)}"):
            await looks.look_at_symbol(await opened(line), SETTINGS)


async def test_a_symbol_that_is_disabled_is_not_traded(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        listed = symbols()
        listed.symbol[1].enabled = False
        says(peer, pb.SymbolsListReq, listed)
        with pytest.raises(RefusedError, match=r"SYMBOL_NOT_TRADED: .*enabled=False"):
            await looks.look_at_symbol(await opened(line), SETTINGS)


async def test_limits_that_differ_from_the_instrument_are_named(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        account = await opened(line)
        listed = (await looks.look_at_symbol(account, SETTINGS)).value
        found = await looks.look_at_instrument(account, listed, SETTINGS, differences)
        assert found.detail.startswith("every term that the broker states is as configured")
        full = full_symbol(digits=2)
        full.symbol[0].minVolume = 250
        says(peer, pb.SymbolByIdReq, full)
        listed = (await looks.look_at_symbol(account, SETTINGS)).value
        found = await looks.look_at_instrument(account, listed, SETTINGS, differences)
        assert found.detail == "digits 2, configured 3; volume_min 0.1, configured 0.01"
        assert "[instrument.palm_oil]" in found.todo


# -- the way to the account's money


async def converted(peer: Peer, line: Visit, *chain: pb.LightSymbol) -> str:
    """Return what is said of an account in dollars, where the broker lists ``chain``."""
    peer.deposit_asset_id = USD
    says(
        peer,
        pb.SymbolsForConversionReq,
        pb.SymbolsForConversionRes(ctidTraderAccountId=ACCOUNT, symbol=chain),
    )
    account = await opened(line)
    listed = (await looks.look_at_symbol(account, SETTINGS)).value
    return (await looks.look_at_conversion(account, listed)).detail


async def test_one_currency_needs_no_conversion(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        account = await opened(line)
        listed = (await looks.look_at_symbol(account, SETTINGS)).value
        assert (await looks.look_at_conversion(account, listed)).detail.startswith("none is needed")
        assert peer.asked(pb.SymbolsForConversionReq) == []


async def test_a_chain_of_symbols_is_named_in_its_order(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        direct = symbols().symbol[2]
        assert await converted(peer, line, direct) == "over USDMYR"
        over = [
            pb.LightSymbol(symbolId=PAIR, symbolName="MYRPALM", baseAssetId=MYR, quoteAssetId=PALM),
            pb.LightSymbol(symbolId=PAIR + 1, symbolName="USDPALM", baseAssetId=USD, quoteAssetId=PALM),
        ]
        assert await converted(peer, line, *over) == "over MYRPALM, USDPALM"
        with pytest.raises(RefusedError, match="NO_CONVERSION"):  # it leads there the other way round only
            await converted(peer, line, *reversed(over))


async def test_an_account_that_no_chain_leads_to_cannot_be_sized_for(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        with pytest.raises(RefusedError, match="NO_CONVERSION"):
            await converted(peer, line)


async def test_a_broker_that_knows_no_chain_says_so_itself(tmp_path: Path) -> None:
    async with broker(tmp_path) as (peer, line):
        peer.deposit_asset_id = USD
        says(peer, pb.SymbolsForConversionReq, error("ENTITY_NOT_FOUND", "no chain"))
        account = await opened(line)
        listed = (await looks.look_at_symbol(account, SETTINGS)).value
        with pytest.raises(RefusedError, match="NO_CONVERSION"):
            await looks.look_at_conversion(account, listed)
        assert cast("pb.SymbolsForConversionReq", peer.heard[-1]).lastAssetId == USD
