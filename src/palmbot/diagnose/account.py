"""Looks at what the broker says: application, account, its rights and kind, the symbol, and the way to its money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from palmbot.diagnose.check import Found, wrong
from palmbot.diagnose.server import Line
from palmbot.diagnose.symbol import Listed, differences
from palmbot.errors import RetryError
from palmbot.protocol.messages import pb
from palmbot.settings import CtraderCredentials, Settings

_NEAR_MAX = 8  # names that are shown instead of the one that is not there
_RIGHTS: Mapping[int, str] = MappingProxyType(
    {
        pb.CLOSE_ONLY: "The broker lets this account close positions only: ask the broker why.",
        pb.NO_TRADING: "The broker lets this account not trade: ask the broker why.",
        pb.NO_LOGIN: "The broker lets nobody log in to this account: ask the broker why.",
    }
)
_MODES: Mapping[int, str] = MappingProxyType(
    {
        pb.CLOSE_ONLY_MODE: "The broker takes closing orders only for this symbol: trade another, or wait.",
        pb.DISABLED_WITHOUT_PENDINGS_EXECUTION: "The broker does not trade this symbol now: trade another, or wait.",
        pb.DISABLED_WITH_PENDINGS_EXECUTION: "The broker does not trade this symbol now: trade another, or wait.",
    }
)


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that is logged in on a line, and what the broker says of it."""

    line: Line
    account_id: int
    trader: pb.Trader


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
    rights = opened.trader.accessRights
    if rights != pb.FULL_ACCESS:
        todo = _RIGHTS.get(rights, "Ask the broker what this account may do.")
        raise wrong("NO_FULL_ACCESS", todo, rights=_name(pb.AccessRights, rights))
    return Found(rights, "full access")


async def look_at_kind(opened: Opened) -> Found[int]:
    """Say whether it is the kind of account that is traded here: hedged, and free to place plain stops."""
    trader = opened.trader
    if trader.accountType != pb.HEDGED:
        todo = "Use a hedged account: on others a position is not one's own."
        raise wrong("NOT_HEDGED", todo, kind=_name(pb.AccountType, trader.accountType))
    if trader.isLimitedRisk:
        todo = "Use an account without limited risk: on this one every order needs a guaranteed stop loss."
        raise wrong("LIMITED_RISK", todo, account=opened.account_id)
    swaps = "swap-free" if trader.swapFree else "with swaps"
    return Found(trader.accountType, f"hedged, {swaps}, leverage 1:{trader.leverageInCents / 100:g}")


async def look_at_symbol(opened: Opened, settings: Settings) -> Found[Listed]:
    """Find the symbol, and whether it is traded."""
    account_id, name = opened.account_id, settings.instrument.symbol
    answer = cast("pb.SymbolsListRes", await opened.line.need(pb.SymbolsListReq(ctidTraderAccountId=account_id)))
    light = next((each for each in answer.symbol if each.symbolName == name), None)
    if light is None:
        near = sorted(each.symbolName for each in answer.symbol if each.symbolName[:3].upper() == name[:3].upper())
        todo = "Name it as this broker does (instrument.symbol); another broker may offer it."
        raise wrong("SYMBOL_NOT_FOUND", todo, symbol=name, listed=len(answer.symbol), near=",".join(near[:_NEAR_MAX]))
    asked = pb.SymbolByIdReq(ctidTraderAccountId=account_id, symbolId=[light.symbolId])
    full = cast("pb.SymbolByIdRes", await opened.line.need(asked)).symbol
    if not full:
        raise wrong("SYMBOL_ARCHIVED", "Trade another symbol: the broker has retired this one.", symbol=name)
    mode = full[0].tradingMode
    if mode != pb.ENABLED or not (light.enabled or not light.HasField("enabled")):
        todo = _MODES.get(mode, "The broker has disabled this symbol: trade another, or wait.")
        raise wrong("SYMBOL_NOT_TRADED", todo, symbol=name, mode=_name(pb.TradingMode, mode), enabled=light.enabled)
    short = "" if full[0].enableShortSelling or not full[0].HasField("enableShortSelling") else ", no short selling"
    return Found(Listed(light, full[0]), f"{name} is number {light.symbolId}, traded{short}")


async def look_at_instrument(opened: Opened, listed: Listed, settings: Settings) -> Found[int]:
    """Compare the limits that are configured with the broker's."""
    asked = pb.AssetListReq(ctidTraderAccountId=opened.account_id)
    answer = cast("pb.AssetListRes", await opened.line.need(asked))
    assets = {each.assetId: each.name for each in answer.asset}
    spec = settings.instrument
    found = differences(listed, opened.trader, assets, spec)
    if not found:
        return Found(0, "digits, lot, volumes, stops, currencies and leverage are as configured")
    todo = f"On this account the broker's numbers count. Write them in [instrument.{spec.name}] to backtest with them."
    return Found(len(found), "; ".join(found), todo)


async def look_at_conversion(opened: Opened, listed: Listed) -> Found[int]:
    """Find the symbols that turn the symbol's money into the account's."""
    first, last = listed.light.quoteAssetId, opened.trader.depositAssetId
    if first == last:
        return Found(0, "none is needed: the symbol is quoted in the account's currency")
    asked = pb.SymbolsForConversionReq(ctidTraderAccountId=opened.account_id, firstAssetId=first, lastAssetId=last)
    chain = cast("pb.SymbolsForConversionRes", await opened.line.need(asked)).symbol
    reached = first
    for each in chain:
        ends = {each.baseAssetId: each.quoteAssetId, each.quoteAssetId: each.baseAssetId}
        reached = ends.get(reached, -1)
    if reached != last:
        todo = "Use an account in the symbol's currency: without a rate nothing can be sized."
        raise wrong("NO_CONVERSION", todo, first_asset=first, last_asset=last, symbols=len(chain))
    return Found(len(chain), f"over {', '.join(each.symbolName for each in chain)}")


def _name(enum: type[pb.AccessRights] | type[pb.AccountType] | type[pb.TradingMode], number: int) -> str:
    """Return an enum's name, or the number where it is newer than we are."""
    return enum.Name(number) if number in enum.values() else str(number)
