"""Which accounts an access token opens: one short visit to the Open API, without authorising any account."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, cast

from palmbot.adapters.ctrader_visit import Target, Visit
from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.tls import client_context
from palmbot.errors import RetryError
from palmbot.model import Granted, GrantedAccount, Scope
from palmbot.ports import Clock
from palmbot.protocol.messages import pb
from palmbot.settings import CtraderCredentials

VISIT_S: Final = 30.0
ANSWER_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class AccountList:
    """Asks the server of one environment, which knows the accounts of both."""

    endpoints: Endpoints
    credentials: CtraderCredentials
    clock: Clock

    async def __call__(self, access_token: str) -> Granted:
        """Return what ``access_token`` opens.

        Raises:
            ConfigError: the broker refuses the application, or whoever answers is not the broker.
            RetryError: nobody answers, or not now; ``API_UNREACHABLE`` has the reason.
        """
        host, port = self.endpoints.host, self.endpoints.port
        target = Target(host, port, host, client_context(host, self.endpoints.ca_file))
        hidden = (self.credentials.client_secret, access_token)
        try:
            async with asyncio.timeout(VISIT_S), Visit(target, self.clock, ANSWER_MS, hidden) as visit:
                await visit.application(self.credentials)
                answer = await visit.need(pb.GetAccountListByAccessTokenReq(accessToken=access_token))
        except OSError as error:  # a timeout is one
            todo = "Look at this machine's network, then try again."
            reason = error.strerror or type(error).__name__
            raise RetryError("API_UNREACHABLE", todo, host=host, port=port, reason=repr(reason)) from error
        listed = cast("pb.GetAccountListByAccessTokenRes", answer)
        scope = Scope.TRADING if listed.permissionScope == pb.SCOPE_TRADE else Scope.ACCOUNTS
        return Granted(scope, tuple(_account(row) for row in listed.ctidTraderAccount))


def _account(row: pb.CtidTraderAccount) -> GrantedAccount:
    return GrantedAccount(row.ctidTraderAccountId, row.isLive, row.traderLogin, row.brokerTitleShort)
