"""Who is who: application, accounts, tokens (sheet 2 and 3)."""

from __future__ import annotations

from typing import Final

from palmbot.exchange.client import Client, Key
from palmbot.exchange.desk import Desk, Needs, Reply, Route, Routes, Then
from palmbot.exchange.grants import TOKEN_TYPE, Grant
from palmbot.exchange.history import Window
from palmbot.exchange.values import AccessRights, Refused, Via
from palmbot.protocol.messages import pb

VERSION: Final = "91 (simulated)"
RECENT: Final = 20  # deals among which the last closing one is looked for


def refused(code: str, text: str) -> Refused:
    """Return a refusal in the form of 2142."""
    return Refused(code, text, Via.ERROR_RES)


NO_APPLICATION: Final = refused("CH_CLIENT_NOT_AUTHENTICATED", "Application is not authenticated")


def application_auth(desk: Desk, client: Client, request: pb.ApplicationAuthReq) -> Reply:
    """Authorise the application of this connection."""
    if client.application is not None:
        return refused("CH_CLIENT_ALREADY_AUTHENTICATED", "Application is already authenticated")
    application = desk.grants.application(request.clientId, request.clientSecret)
    if isinstance(application, Refused):
        return application
    most = desk.knobs.connections_max
    if most is not None and desk.connections_of(application.client_id) >= most:
        return refused("CONNECTIONS_LIMIT_EXCEEDED", f"An application may have {most} connections")
    client.application = application
    return pb.ApplicationAuthRes()


def version(desk: Desk, client: Client, _request: pb.VersionReq) -> Reply:
    """Return the version of the proxy."""
    if client.application is None and not desk.knobs.version_before_auth:
        return NO_APPLICATION
    return pb.VersionRes(version=VERSION)


def account_list(desk: Desk, client: Client, request: pb.GetAccountListByAccessTokenReq) -> Reply:
    """Return the accounts that a token opens, whatever their environment."""
    grant = _grant(desk, client, request.accessToken)
    if isinstance(grant, Refused):
        return (
            pb.GetAccountListByAccessTokenRes(accessToken=request.accessToken)
            if desk.knobs.dead_token_lists_nothing
            else grant
        )
    accounts = [_account(desk, account_id) for account_id in grant.account_ids]
    return pb.GetAccountListByAccessTokenRes(
        accessToken=request.accessToken,
        permissionScope=pb.SCOPE_TRADE if grant.scope else pb.SCOPE_VIEW,
        ctidTraderAccount=[each for each in accounts if each is not None],
    )


def profile(desk: Desk, client: Client, request: pb.GetCtidProfileByTokenReq) -> Reply:
    """Return the user behind a token."""
    grant = _grant(desk, client, request.accessToken)
    if isinstance(grant, Refused):
        return grant
    return pb.GetCtidProfileByTokenRes(profile=pb.CtidProfile(userId=grant.user_id))


def account_auth(desk: Desk, client: Client, request: pb.AccountAuthReq) -> Reply:
    """Begin the session of an account; from here on its events flow."""
    account_id = request.ctidTraderAccountId
    grant = _grant(desk, client, request.accessToken)
    if isinstance(grant, Refused):
        return grant
    if account_id not in grant.account_ids:
        return refused("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", "Trading account is not found under this token")
    account = desk.engine.venue.accounts.get(account_id)
    if account is None:
        return refused("RET_NO_SUCH_LOGIN", "Trading account does not exist")
    if account.terms.is_live != desk.knobs.is_live:
        return refused("CANT_ROUTE_REQUEST", "Cannot route request")
    if desk.faults.is_weekend:
        return refused("UNKNOWN_ERROR", "No pooled connection to main server")
    if account.terms.rights is AccessRights.NO_LOGIN:
        return refused("RET_ACCOUNT_DISABLED", "Trading account is disabled")
    if account_id in client.keys:
        return refused("ALREADY_LOGGED_IN", "Trading account is already authorized on this connection")
    client.open(account_id, Key(grant.grant_id, grant.scope))
    return pb.AccountAuthRes(ctidTraderAccountId=account_id)


def account_logout(_desk: Desk, client: Client, request: pb.AccountLogoutReq) -> Reply:
    """End the session of an account; the event marks its real end."""
    account_id = request.ctidTraderAccountId
    client.forget(account_id)
    return Then(
        pb.AccountLogoutRes(ctidTraderAccountId=account_id),
        lambda: client.outlet.send(pb.AccountDisconnectEvent(ctidTraderAccountId=account_id)),
    )


def refresh(desk: Desk, client: Client, request: pb.RefreshTokenReq) -> Reply:
    """Exchange a refresh token for a new pair; the sessions of the old pair end."""
    client_id = "" if client.application is None else client.application.client_id
    grant = desk.grants.refresh(request.refreshToken, client_id, desk.clock.utc_ms())
    if isinstance(grant, Refused):
        return grant
    return pb.RefreshTokenRes(
        accessToken=grant.access_token,
        tokenType=TOKEN_TYPE,
        expiresIn=grant.expires_in_s(desk.clock.utc_ms()),
        refreshToken=grant.refresh_token,
    )


def _grant(desk: Desk, client: Client, access_token: str) -> Grant | Refused:
    """Return the grant of a token that belongs to the application of this connection."""
    grant = desk.grants.by_access(access_token, desk.clock.utc_ms())
    is_foreign = (
        isinstance(grant, Grant) and client.application is not None and grant.client_id != client.application.client_id
    )
    return refused("CH_ACCESS_TOKEN_INVALID", "Access token is of another application") if is_foreign else grant


def _account(desk: Desk, account_id: int) -> pb.CtidTraderAccount | None:
    account = desk.engine.venue.accounts.get(account_id)
    if account is None:
        return None
    terms, history = account.terms, desk.engine.books.history
    closing = (deal.ts_ms for deal in history.deals(account_id, Window(limit=RECENT)) if deal.close is not None)
    cash = (each.ts_ms for each in history.cash(account_id, Window(limit=1)))
    closed_ms = next(closing, None)
    return pb.CtidTraderAccount(
        ctidTraderAccountId=account_id,
        isLive=terms.is_live,
        traderLogin=terms.login,
        lastClosingDealTimestamp=closed_ms,
        lastBalanceUpdateTimestamp=max(
            (each for each in (closed_ms, next(cash, None)) if each is not None), default=None
        ),
        brokerTitleShort=terms.broker,
    )


ROUTES: Routes = {
    pb.APPLICATION_AUTH_REQ: Route(application_auth, Needs.NOTHING),
    pb.VERSION_REQ: Route(version, Needs.NOTHING),
    pb.GET_ACCOUNT_LIST_BY_ACCESS_TOKEN_REQ: Route(account_list, Needs.APPLICATION, is_list=True),
    pb.GET_CTID_PROFILE_BY_TOKEN_REQ: Route(profile, Needs.APPLICATION),
    pb.ACCOUNT_AUTH_REQ: Route(account_auth, Needs.APPLICATION),
    pb.ACCOUNT_LOGOUT_REQ: Route(account_logout),
    pb.REFRESH_TOKEN_REQ: Route(refresh, Needs.APPLICATION),
}
