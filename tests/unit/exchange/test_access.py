"""Application, accounts and tokens over the wire: what is granted, what is refused, and what ends a session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.exchange_house import LOT, SPEC, House, Plan, house_in
from tests.wire_client import WireClient

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.changes import Standing
from palmbot.exchange.grants import Application, Scope
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.opening import plain_account
from palmbot.exchange.terms import Terms
from palmbot.exchange.values import AccessRights
from palmbot.protocol.messages import pb

OPEN = Knobs(per_second=None)


def standing(account_id: int, **terms: Any) -> Standing:
    plain = plain_account(account_id, catalogue_of(SPEC), 1_000_000)
    return replace(plain, terms=replace(plain.terms, **terms))


def code(answer: Any) -> str:
    assert isinstance(answer, pb.ErrorRes), answer
    return answer.errorCode


async def auth(client: WireClient, house: House, account_id: int = 1) -> Any:
    token = house.ready.access_token
    return await client.ask(pb.AccountAuthReq(ctidTraderAccountId=account_id, accessToken=token))


async def test_wrong_credentials_are_refused_and_right_ones_are_taken_once(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        house.grants.register(Application("new", "sec", is_active=False))
        client, ready = await house.dial(), house.ready
        for client_id, secret, expected in (
            (ready.client_id, "wrong", "CH_CLIENT_AUTH_FAILURE"),
            ("new", "sec", "CH_CLIENT_AUTH_FAILURE"),
            ("nobody", "sec", "CH_OA_CLIENT_NOT_FOUND"),
        ):
            refused = await client.ask(pb.ApplicationAuthReq(clientId=client_id, clientSecret=secret))
            assert code(refused) == expected
            assert ready.client_secret not in str(refused)
        await client.log_in(ready.client_id, ready.client_secret)
        again = await client.ask(pb.ApplicationAuthReq(clientId=ready.client_id, clientSecret=ready.client_secret))
        assert code(again) == "CH_CLIENT_ALREADY_AUTHENTICATED"


async def test_a_heartbeat_may_come_first_and_is_never_answered(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.dial()
        for _ in range(3):
            client.raw(bytes.fromhex("000000020833"))
            client.raw(bytes.fromhex("0000000408331200"))
        await client.log_in(house.ready.client_id, house.ready.client_secret)
        assert len(client.heard) == client.session.frames_received == 1


@pytest.mark.parametrize("answered", [True, False])
async def test_the_version_before_the_application_is_a_knob(tmp_path: Path, answered: bool) -> None:
    plan = Plan(replace(OPEN, version_before_auth=answered))
    async with house_in(tmp_path, plan) as house:
        client = await house.dial()
        answer = await client.ask(pb.VersionReq())
        assert isinstance(answer, pb.VersionRes) is answered
        await client.log_in(house.ready.client_id, house.ready.client_secret)
        assert "simulated" in (await client.ask(pb.VersionReq())).version


async def test_an_application_has_so_many_connections_by_a_knob(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, connections_max=2))) as house:
        first, _ = await house.client(), await house.client()
        third = await house.dial()
        request = pb.ApplicationAuthReq(clientId=house.ready.client_id, clientSecret=house.ready.client_secret)
        assert code(await third.ask(request)) == "CONNECTIONS_LIMIT_EXCEEDED"
        await first.close()
        await house.until_left(1)
        assert isinstance(await third.ask(request), pb.ApplicationAuthRes)


async def test_the_account_list_shows_both_environments_and_the_scope(tmp_path: Path) -> None:
    accounts = (standing(1, login=501, broker="sim"), standing(2, is_live=True))
    async with house_in(tmp_path, Plan(standings=accounts)) as house:
        client = await house.client()
        token = house.ready.access_token
        listed = await client.ask(pb.GetAccountListByAccessTokenReq(accessToken=token))
        assert (listed.accessToken, listed.permissionScope) == (token, pb.SCOPE_TRADE)
        assert [(each.ctidTraderAccountId, each.isLive) for each in listed.ctidTraderAccount] == [(1, False), (2, True)]
        assert (listed.ctidTraderAccount[0].traderLogin, listed.ctidTraderAccount[0].brokerTitleShort) == (501, "sim")
        view = house.grants.new_grant(house.ready.client_id, 1, Scope.VIEW, house.clock.utc_ms())
        listed = await client.ask(pb.GetAccountListByAccessTokenReq(accessToken=view.access_token))
        assert listed.HasField("permissionScope")
        assert listed.permissionScope == pb.SCOPE_VIEW
        profile = await client.ask(pb.GetCtidProfileByTokenReq(accessToken=token))
        assert profile.profile.userId == 1


@pytest.mark.parametrize("empty", [False, True])
async def test_a_dead_token_lists_an_error_or_nothing_by_a_knob(tmp_path: Path, empty: bool) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, dead_token_lists_nothing=empty))) as house:
        client = await house.client()
        answer = await client.ask(pb.GetAccountListByAccessTokenReq(accessToken="dead"))
        if empty:
            assert len(answer.ctidTraderAccount) == 0
        else:
            assert code(answer) == "CH_ACCESS_TOKEN_INVALID"
        assert code(await client.ask(pb.GetCtidProfileByTokenReq(accessToken="dead"))) == "CH_ACCESS_TOKEN_INVALID"


async def test_an_account_opens_with_its_own_token_on_its_own_host_once(tmp_path: Path) -> None:
    accounts = (standing(1), standing(2, is_live=True), standing(3, rights=AccessRights.NO_LOGIN))
    async with house_in(tmp_path, Plan(standings=accounts)) as house:
        client = await house.client()
        dead = await client.ask(pb.AccountAuthReq(ctidTraderAccountId=1, accessToken="dead"))
        assert code(dead) == "CH_ACCESS_TOKEN_INVALID"
        assert code(await auth(client, house, 9)) == "CH_CTID_TRADER_ACCOUNT_NOT_FOUND"
        assert code(await auth(client, house, 2)) == "CANT_ROUTE_REQUEST"
        assert code(await auth(client, house, 3)) == "RET_ACCOUNT_DISABLED"
        assert isinstance(await auth(client, house), pb.AccountAuthRes)
        assert code(await auth(client, house)) == "ALREADY_LOGGED_IN"
        assert client.session.accounts == (1,)


async def test_a_live_host_takes_live_accounts_alone(tmp_path: Path) -> None:
    plan = Plan(replace(OPEN, is_live=True), standings=(standing(1), standing(2, is_live=True)))
    async with house_in(tmp_path, plan) as house:
        client = await house.client(2)
        assert code(await auth(client, house, 1)) == "CANT_ROUTE_REQUEST"


async def test_a_token_of_another_application_opens_nothing(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        house.grants.register(Application("other", "sec"))
        client = await house.dial()
        await client.log_in("other", "sec")
        assert code(await auth(client, house)) == "CH_ACCESS_TOKEN_INVALID"
        token = house.ready.access_token
        answer = await client.ask(pb.GetAccountListByAccessTokenReq(accessToken=token))
        assert code(answer) == "CH_ACCESS_TOKEN_INVALID"


async def test_an_expired_token_says_so_and_its_sessions_end(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, access_token_ms=400))) as house:
        client = await house.client(1)
        gone = await client.take(pb.AccountsTokenInvalidatedEvent)
        assert list(gone.ctidTraderAccountIds) == [1]
        await client.take(pb.AccountDisconnectEvent)
        assert code(await auth(client, house)) == "OA_AUTH_TOKEN_EXPIRED"


async def test_a_view_token_may_look_but_not_trade(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        view = house.grants.new_grant(house.ready.client_id, 1, Scope.VIEW, house.clock.utc_ms())
        client = await house.client()
        await client.open_account(1, view.access_token)
        assert isinstance(await client.ask(pb.TraderReq(ctidTraderAccountId=1)), pb.TraderRes)
        order = pb.NewOrderReq(ctidTraderAccountId=1, symbolId=99, orderType=pb.MARKET, tradeSide=pb.BUY, volume=LOT)
        assert code(await client.ask(order)) == "TRADING_NOT_ALLOWED", "before anything of the order is looked at"
        assert code(await client.ask(pb.CancelOrderReq(ctidTraderAccountId=1, orderId=1))) == "TRADING_NOT_ALLOWED"


async def test_logging_out_is_answered_then_told_and_takes_everything_with_it(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1, 2)
        await client.ask(pb.SubscribeSpotsReq(ctidTraderAccountId=1, symbolId=[1]))
        answer = await client.ask(pb.AccountLogoutReq(ctidTraderAccountId=1))
        assert answer == pb.AccountLogoutRes(ctidTraderAccountId=1)
        told = await client.take(pb.AccountDisconnectEvent)
        assert told.ctidTraderAccountId == 1
        assert client.heard[-1].client_msg_id == ""
        house.tick()
        assert code(await client.ask(pb.TraderReq(ctidTraderAccountId=1))) == "INVALID_REQUEST"
        assert isinstance(await client.ask(pb.TraderReq(ctidTraderAccountId=2)), pb.TraderRes)
        assert not client.all(pb.SpotEvent)


async def test_the_refusal_of_an_account_without_session_is_a_knob(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, unauthorised_code="ACCOUNT_NOT_AUTHORIZED"))) as house:
        client = await house.client()
        assert code(await client.ask(pb.TraderReq(ctidTraderAccountId=1))) == "ACCOUNT_NOT_AUTHORIZED"


async def test_a_refresh_is_answered_and_then_ends_the_sessions_of_the_old_pair_on_every_connection(
    tmp_path: Path,
) -> None:
    async with house_in(tmp_path) as house:
        keeper, trader = await house.client(), await house.client(1, 2)
        other = house.grants.new_grant(house.ready.client_id, 1, Scope.TRADE, house.clock.utc_ms())
        bystander = await house.client()
        await bystander.open_account(1, other.access_token)
        pair = await keeper.ask(pb.RefreshTokenReq(refreshToken=house.ready.refresh_token))
        assert (pair.tokenType, pair.expiresIn > 2_600_000) == ("bearer", True)
        gone = await trader.take(pb.AccountsTokenInvalidatedEvent)
        assert list(gone.ctidTraderAccountIds) == [1, 2]
        assert {(await trader.take(pb.AccountDisconnectEvent)).ctidTraderAccountId for _ in range(2)} == {1, 2}
        assert trader.session.accounts == ()
        assert code(await auth(trader, house)) == "CH_ACCESS_TOKEN_INVALID"
        await trader.open_account(1, pair.accessToken)
        assert isinstance(await bystander.ask(pb.TraderReq(ctidTraderAccountId=1)), pb.TraderRes)
        replay = await keeper.ask(pb.RefreshTokenReq(refreshToken=house.ready.refresh_token))
        assert code(replay) == "CH_ACCESS_TOKEN_INVALID"
        assert isinstance(await trader.ask(pb.TraderReq(ctidTraderAccountId=1)), pb.TraderRes)


async def test_sessions_of_a_dead_pair_may_be_served_for_a_while_and_one_that_began_anew_stays(tmp_path: Path) -> None:
    async with house_in(tmp_path, Plan(replace(OPEN, old_sessions_ms=50))) as house:
        keeper, old, fresh = await house.client(), await house.client(1), await house.client(2)
        pair = await keeper.ask(pb.RefreshTokenReq(refreshToken=house.ready.refresh_token))
        assert isinstance(await old.ask(pb.TraderReq(ctidTraderAccountId=1)), pb.TraderRes)
        await fresh.ask(pb.AccountLogoutReq(ctidTraderAccountId=2))
        await fresh.open_account(2, pair.accessToken)
        assert list((await old.take(pb.AccountsTokenInvalidatedEvent)).ctidTraderAccountIds) == [1]
        assert isinstance(await fresh.ask(pb.TraderReq(ctidTraderAccountId=2)), pb.TraderRes)
        assert fresh.all(pb.AccountsTokenInvalidatedEvent) == []


async def test_who_refreshes_where_accounts_are_open_hears_the_answer_first(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        await client.ask(pb.RefreshTokenReq(refreshToken=house.ready.refresh_token))
        await client.take(pb.AccountDisconnectEvent)
        assert [type(each.message) for each in client.heard[-3:]] == [
            pb.RefreshTokenRes,
            pb.AccountsTokenInvalidatedEvent,
            pb.AccountDisconnectEvent,
        ]


async def test_an_application_that_is_blocked_loses_everything_but_the_connection(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        house.server.end_application(house.ready.client_id, "blocked by administrator")
        assert (await client.take(pb.ClientDisconnectEvent)).reason == "blocked by administrator"
        assert code(await client.ask(pb.TraderReq(ctidTraderAccountId=1))) == "CH_CLIENT_NOT_AUTHENTICATED"
        await client.log_in(house.ready.client_id, house.ready.client_secret)
        await client.open_account(1, house.ready.access_token)


async def test_an_account_that_loses_its_login_loses_its_sessions(tmp_path: Path) -> None:
    async with house_in(tmp_path) as house:
        client = await house.client(1)
        terms: Terms = house.engine.venue.accounts[1].terms
        house.engine.set_terms(replace(terms, rights=AccessRights.NO_LOGIN))
        assert (await client.take(pb.TraderUpdatedEvent)).trader.accessRights == pb.NO_LOGIN
        await client.take(pb.AccountDisconnectEvent)
        assert code(await auth(client, house)) == "RET_ACCOUNT_DISABLED"
