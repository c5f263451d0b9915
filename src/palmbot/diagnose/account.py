"""Looks at what the broker says: application, account, its rights and kind, the symbol, and the way to its money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from palmbot.diagnose.check import Found
from palmbot.diagnose.server import Line
from palmbot.errors import RetryError
from palmbot.instruments import InstrumentSpec
from palmbot.model import Difference
from palmbot.protocol.chain import NO_SUCH_CHAIN, chain_of
from palmbot.protocol.messages import pb
from palmbot.protocol.statement import (
    NOT_STATED,
    Reading,
    Statement,
    account_refusals,
    full_of,
    instrument_of,
    listed_as,
    no_conversion,
    symbol_refusals,
    tiers_of,
)
from palmbot.settings import CtraderCredentials, Settings

Compare = Callable[[InstrumentSpec, Reading], tuple[Difference, ...]]


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that is logged in on a line, and what the broker says of it."""

    line: Line
    account_id: int
    trader: pb.Trader


class Listed(NamedTuple):
    """One symbol of the broker's: in brief, and in full."""

    light: pb.LightSymbol
    full: pb.Symbol


async def look_at_application(line: Line, credentials: CtraderCredentials) -> Found[Line]:
    """Log the application in."""
    await line.application(credentials)
    return Found(line, "the server knows it, and its secret is right")


async def look_at_account(line: Line, credentials: CtraderCredentials, access_token: str) -> Found[Opened]:
    """Find the account among those that the token opens, on the server where it lives, and log it in."""
    account_id = await line.choose_account(credentials, access_token)
    asked = pb.GetAccountListByAccessTokenReq(accessToken=access_token)
    listed = cast("pb.GetAccountListByAccessTokenRes", await line.need(asked))
    row = next((each for each in listed.ctidTraderAccount if each.ctidTraderAccountId == account_id), None)
    if row is None:
        raise RetryError("ACCOUNTS_UNSTEADY", "Try again: the server listed other accounts a moment ago.")
    await line.open_account(account_id, access_token)
    answer = cast("pb.TraderRes", await line.need(pb.TraderReq(ctidTraderAccountId=account_id)))
    kind, login = "live" if row.isLive else "demo", row.traderLogin or account_id
    permit = "trading" if listed.permissionScope == pb.SCOPE_TRADE else "reading"
    detail = f"login {login} is a {kind} account, and the token permits {permit}"
    return Found(Opened(line, account_id, answer.trader), detail)


async def look_at_rights(opened: Opened) -> Found[int]:
    """Say whether the account may trade."""
    for refusal in account_refusals(opened.trader):
        if refusal.code == "NO_FULL_ACCESS":
            raise refusal
    return Found(opened.trader.accessRights, "full access")


async def look_at_kind(opened: Opened) -> Found[int]:
    """Say whether it is the kind of account that is traded here: hedged, with swaps, free to place plain stops."""
    trader = opened.trader
    for refusal in account_refusals(trader):
        if refusal.code != "NO_FULL_ACCESS":
            raise refusal
    return Found(trader.accountType, f"hedged, with swaps, leverage 1:{trader.leverageInCents / 100:g}")


async def look_at_symbol(opened: Opened, settings: Settings) -> Found[Listed]:
    """Find the symbol, and whether it is traded."""
    account_id, name = opened.account_id, settings.instrument.symbol
    asked = pb.SymbolsListReq(ctidTraderAccountId=account_id, includeArchivedSymbols=True)
    light = listed_as(name, cast("pb.SymbolsListRes", await opened.line.need(asked)))
    by_id = pb.SymbolByIdReq(ctidTraderAccountId=account_id, symbolId=[light.symbolId])
    full = full_of(light, cast("pb.SymbolByIdRes", await opened.line.need(by_id)))
    for refusal in symbol_refusals(light, full, wants_shorts=settings.params.allow_short == 1):
        raise refusal
    short = "" if full.enableShortSelling or not full.HasField("enableShortSelling") else ", no short selling"
    return Found(Listed(light, full), f"{name} is number {light.symbolId}, traded{short}")


async def look_at_instrument(opened: Opened, listed: Listed, settings: Settings, compare: Compare) -> Found[int]:
    """Compare the configured terms with the broker's."""
    account_id, full = opened.account_id, listed.full
    answer = cast("pb.AssetListRes", await opened.line.need(pb.AssetListReq(ctidTraderAccountId=account_id)))
    assets = {each.assetId: each.name for each in answer.asset}
    tiers: tuple[int, ...] = ()
    if full.HasField("leverageId"):
        asked = pb.GetDynamicLeverageByIDReq(ctidTraderAccountId=account_id, leverageId=full.leverageId)
        tiers = tiers_of(cast("pb.GetDynamicLeverageByIDRes", await opened.line.need(asked)))
    spec = settings.instrument
    reading = instrument_of(Statement(opened.trader, listed.light, full, assets, tiers), spec)
    found = [each for each in compare(spec, reading) if each.broker != NOT_STATED]
    if not found:
        return Found(0, "every term that the broker states is as configured; it states no spread and no slippage")
    todo = f"On this account the broker's terms count. Write them in [instrument.{spec.name}] to backtest with them."
    return Found(
        len(found), "; ".join(f"{each.name} {each.broker}, configured {each.configured}" for each in found), todo
    )


async def look_at_conversion(opened: Opened, listed: Listed) -> Found[int]:
    """Find the symbols that turn the symbol's money into the account's."""
    first, last = listed.light.quoteAssetId, opened.trader.depositAssetId
    if first == last:
        return Found(0, "none is needed: the symbol is quoted in the account's currency")
    asked = pb.SymbolsForConversionReq(ctidTraderAccountId=opened.account_id, firstAssetId=first, lastAssetId=last)
    try:
        symbols = cast("pb.SymbolsForConversionRes", await opened.line.need(asked)).symbol
    except RetryError as failure:
        raise no_conversion(listed.light.symbolName) if failure.code == NO_SUCH_CHAIN else failure from None
    if chain_of(symbols, first, last) is None:
        raise no_conversion(listed.light.symbolName)
    return Found(len(symbols), f"over {', '.join(each.symbolName for each in symbols)}")
