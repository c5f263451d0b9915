"""Logging in, step by step (sheet 3): application, account, and what must be known before anything is traded."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast

from palmbot.adapters.ctrader_link import Link
from palmbot.errors import ConfigError, RefusedError, RetryError
from palmbot.protocol.chain import NO_SUCH_CHAIN, Leg, chain_of
from palmbot.protocol.codec import Terms
from palmbot.protocol.codec_errors import Declined, error_of
from palmbot.protocol.codes import Reaction
from palmbot.protocol.messages import Message, name, payload_type, pb
from palmbot.protocol.statement import DIGITS_MAX, full_of, listed_as, money_digits_of, within
from palmbot.settings import CtraderCredentials, Environment

if TYPE_CHECKING:
    from palmbot.adapters.tokens import TokenKeeper


class TokenSource(Protocol):
    """Where the newest access token comes from. What it raises beside what is named here ends the session for good."""

    def current(self) -> str:
        """Return it."""

    async def refresh(self, refused: str, code: str) -> None:
        """See to it that there is a newer one than ``refused``, which the broker did not take and said ``code``.

        Raises:
            RetryError: later, perhaps.
            OutcomeUnknownError: nobody knows; later, perhaps.
        """


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that nobody renews, such as the simulated exchange's."""

    access_token: str = field(repr=False)

    def current(self) -> str:
        """Return it."""
        return self.access_token

    async def refresh(self, refused: str, code: str) -> None:
        """Give up.

        Raises:
            ConfigError: always.
        """
        del refused
        raise ConfigError("TOKEN_DEAD", "Log in again: the broker does not take this access token.", said=code)


@dataclass(frozen=True, slots=True)
class KeptToken:
    """The token of a keeper, who renews it and tells every process on this machine."""

    keeper: TokenKeeper

    def current(self) -> str:
        """Return it.

        Raises:
            RejectedError: ``LOGIN_NEEDED``.
        """
        return self.keeper.current().access_token

    async def refresh(self, refused: str, code: str) -> None:
        """Renew it, unless somebody has done so meanwhile; raises what a renewal raises."""
        tokens = self.keeper.current()
        if tokens.access_token == refused:
            await self.keeper.renew_refused(tokens, code)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a login learns and the next ones know: who we are, and how the symbol's money becomes the account's."""

    terms: Terms
    chain: tuple[Leg, ...] | None


class DeadTokenError(RetryError):
    """The broker does not take this token: another one may do."""


async def authorise_app(link: Link, credentials: CtraderCredentials) -> None:
    """Log the application in.

    Raises:
        ConfigError: the broker does not know it, or not this secret.
        RetryError: not now.
    """
    request = pb.ApplicationAuthReq(clientId=credentials.client_id, clientSecret=credentials.client_secret)
    await _granted(link, request)


async def authorise_account(link: Link, account_id: int, access_token: str) -> None:
    """Log the account in. Its events flow from the answer on.

    Raises:
        DeadTokenError: the token is not taken.
        ConfigError: the account is gone, disabled or not under this token.
        RetryError: not now.
    """
    answer = await _granted(link, pb.AccountAuthReq(ctidTraderAccountId=account_id, accessToken=access_token))
    if isinstance(answer, pb.AccountAuthRes) and answer.ctidTraderAccountId != account_id:
        raise RetryError("ACCOUNT_NOT_GRANTED", "Try again later: the answer was about another account.")


async def choose_account(link: Link, credentials: CtraderCredentials, access_token: str) -> int:
    """Return the number of the account to trade.

    Raises:
        DeadTokenError: the token is not taken.
        ConfigError: the token opens no such account, or several and none was named.
        RefusedError: it is a live account where a demo one is meant, or the other way round.
        RetryError: not now. An empty list is no answer: a dead token and a server in trouble show one (sheet 2.1).
    """
    answer = await _granted(link, pb.GetAccountListByAccessTokenReq(accessToken=access_token))
    listed = answer.ctidTraderAccount if isinstance(answer, pb.GetAccountListByAccessTokenRes) else ()
    if not listed:
        raise RetryError("NO_ACCOUNTS", "Try again later; if it stays so, log in again.")
    wanted = credentials.account
    found = [each for each in listed if wanted in {None, each.ctidTraderAccountId, each.traderLogin}]
    if len(found) != 1:
        todo = "Name one of the accounts that this login opens."
        logins = ",".join(str(each.traderLogin or each.ctidTraderAccountId) for each in listed)
        raise ConfigError("ACCOUNT_NOT_FOUND" if not found else "ACCOUNT_AMBIGUOUS", todo, asked=wanted, opens=logins)
    account, environment = found[0], credentials.environment
    if environment is not Environment.PAPER and account.isLive != (environment is Environment.LIVE):
        raise RefusedError(
            "ACCOUNT_OF_OTHER_ENVIRONMENT",
            "Name an account of the environment, or the environment of the account.",
            account=account.traderLogin or account.ctidTraderAccountId,
            is_live=account.isLive,
            environment=environment.value,
        )
    return account.ctidTraderAccountId


async def read_facts(link: Link, account_id: int, symbol: str) -> Facts:
    """Return what must be known of the account and of ``symbol``.

    Raises:
        ConfigError: there is no such symbol.
        RefusedError: the broker has retired it, or it cannot be counted with.
        RetryError: not now.
    """
    trader = cast("pb.TraderRes", await link.need(pb.TraderReq(ctidTraderAccountId=account_id))).trader
    everything = pb.SymbolsListReq(ctidTraderAccountId=account_id, includeArchivedSymbols=True)
    listing = cast("pb.SymbolsListRes", await link.need(everything))
    if not listing.symbol:
        raise RetryError("NO_SYMBOLS", "Try again later: the broker lists nothing.")
    light = listed_as(symbol, listing)
    asked = pb.SymbolByIdReq(ctidTraderAccountId=account_id, symbolId=[light.symbolId])
    full = full_of(light, cast("pb.SymbolByIdRes", await link.need(asked)))
    terms = Terms(
        account_id=account_id,
        money_digits=money_digits_of(trader),
        symbol_id=light.symbolId,
        symbol=symbol,
        digits=within("digits", full.digits, 0, DIGITS_MAX),
        names=MappingProxyType({each.symbolId: each.symbolName for each in listing.symbol}),
    )
    return Facts(terms, await _chain(link, account_id, light.quoteAssetId, trader.depositAssetId))


async def _chain(link: Link, account_id: int, first_asset_id: int, last_asset_id: int) -> tuple[Leg, ...] | None:
    if first_asset_id == last_asset_id:
        return ()
    answer = await link.ask(
        pb.SymbolsForConversionReq(
            ctidTraderAccountId=account_id, firstAssetId=first_asset_id, lastAssetId=last_asset_id
        )
    )
    if isinstance(answer, Declined):
        if answer.reaction is Reaction.FATAL or answer.code == NO_SUCH_CHAIN:  # no rate: nothing will be sized
            return None
        raise error_of(answer, "SymbolsForConversionReq")
    return chain_of(cast("pb.SymbolsForConversionRes", answer).symbol, first_asset_id, last_asset_id)


async def _granted(link: Link, request: Message) -> Message | None:
    """Return the answer of a request that carries a secret; None where it had been granted before."""
    answer = await link.ask(request)
    if not isinstance(answer, Declined):
        return answer
    if answer.reaction is Reaction.SUCCESS:
        return None
    asked = name(payload_type(request))
    if answer.reaction is Reaction.TOKEN:
        raise DeadTokenError(answer.code, "Refresh the token, else log in again.", asked=asked)
    raise error_of(answer, asked)
