"""Which accounts an access token opens: one short visit to the Open API, without authorising any account."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Final

from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.tls import client_context
from palmbot.adapters.tls_reason import handshake_failure
from palmbot.errors import PalmbotError, RejectedError, RetryError
from palmbot.model import Granted, GrantedAccount, Scope
from palmbot.ports import Clock
from palmbot.protocol.events import Broken, Received
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.session import Role, Session
from palmbot.settings import CtraderCredentials

VISIT_S: Final = 30.0
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class AccountList:
    """Asks the server of one environment, which knows the accounts of both."""

    endpoints: Endpoints
    credentials: CtraderCredentials
    clock: Clock

    async def __call__(self, access_token: str) -> Granted:
        """Return what ``access_token`` opens.

        Raises:
            RejectedError: ``APPLICATION_REFUSED`` or ``TOKEN_REFUSED``, with the server's code.
            RetryError: ``API_UNREACHABLE``, with the reason.
            ConfigError: whoever answers is not the server, in the words of ``tls_reason``.
        """
        endpoints = self.endpoints
        try:
            async with asyncio.timeout(VISIT_S):
                context = client_context(endpoints.host, endpoints.ca_file)
                reader, writer = await asyncio.open_connection(endpoints.host, endpoints.port, ssl=context)
                try:
                    visit = _Visit(Session(Role.CLIENT, self.clock.monotonic_ms()), reader, writer, self.clock)
                    return await self._asked(visit, access_token)
                finally:
                    writer.transport.abort()  # all is said, and a polite end would wait for the server's
        except TimeoutError:
            reason = f"no answer in {VISIT_S:.0f} s"
        except ssl.SSLError as error:
            raise handshake_failure(error, endpoints.host) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
        raise _unreachable(endpoints, reason)

    async def _asked(self, visit: _Visit, access_token: str) -> Granted:
        credentials = self.credentials
        application = pb.ApplicationAuthReq(clientId=credentials.client_id, clientSecret=credentials.client_secret)
        answer = await visit.ask(application)
        if isinstance(answer, pb.ErrorRes | pb.CommonErrorRes):
            todo = "Look at the client id and secret, and whether the application is active at cTrader."
            raise _refused("APPLICATION_REFUSED", todo, answer)
        answer = await visit.ask(pb.GetAccountListByAccessTokenReq(accessToken=access_token))
        if not isinstance(answer, pb.GetAccountListByAccessTokenRes):
            raise _refused("TOKEN_REFUSED", "Log in once more.", answer)
        scope = Scope.TRADING if answer.permissionScope == pb.SCOPE_TRADE else Scope.ACCOUNTS
        return Granted(scope, tuple(_account(each) for each in answer.ctidTraderAccount))


@dataclass(frozen=True, slots=True)
class _Visit:
    """A connection on which one thing is asked at a time."""

    session: Session
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    clock: Clock

    async def ask(self, request: Message) -> Message:
        """Return the answer to ``request``; everything else that comes is of no interest."""
        asked = self.session.request(request, self.clock.monotonic_ms())
        self.writer.write(self.session.data_to_send())
        while True:
            while (event := self.session.next_event()) is not None:
                if isinstance(event, Received) and event.client_msg_id == asked:
                    return event.message
                if isinstance(event, Broken):
                    raise ConnectionResetError(0, event.text)
            data = await self.reader.read(_READ_BYTES)
            if not data:
                raise ConnectionResetError(0, "the server closed the connection")
            self.session.receive_data(data, self.clock.monotonic_ms())


def _account(row: pb.CtidTraderAccount) -> GrantedAccount:
    return GrantedAccount(row.ctidTraderAccountId, row.isLive, row.traderLogin, row.brokerTitleShort)


def _refused(code: str, todo: str, answer: Message) -> RejectedError:
    """Return the refusal in ``answer``; its text may repeat what was sent, so only the code is taken."""
    said = getattr(answer, "errorCode", "")
    return RejectedError(code, todo, server_code=said if _CODE.fullmatch(said) else "UNLISTED")


def _unreachable(endpoints: Endpoints, reason: str) -> PalmbotError:
    todo = "Look at this machine's network, then try again."
    return RetryError("API_UNREACHABLE", todo, host=endpoints.host, port=endpoints.port, reason=repr(reason))
