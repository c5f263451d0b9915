"""Asking the broker what it says of a symbol and of the account that trades it (sheet 3, steps 6 to 11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from palmbot.errors import ConfigError, RejectedError, RetryError
from palmbot.protocol.chain import NO_SUCH_CHAIN, chain_of
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.statement import Statement, full_of, listed_as, tiers_of

Need = Callable[[Message], Awaitable[Message]]


async def read_statement(need: Need, account_id: int, symbol: str) -> Statement:
    """Return what the broker says of ``symbol`` now.

    Args:
        need: returns the answer to a request.
        account_id: of the account, which is logged in.
        symbol: as the broker spells it.

    Raises:
        ConfigError: there is no such symbol.
        RefusedError: the broker has retired it.
        RetryError: not now.
    """
    trader = cast("pb.TraderRes", await need(pb.TraderReq(ctidTraderAccountId=account_id))).trader
    assets = cast("pb.AssetListRes", await need(pb.AssetListReq(ctidTraderAccountId=account_id))).asset
    asked = pb.SymbolsListReq(ctidTraderAccountId=account_id, includeArchivedSymbols=True)
    light = listed_as(symbol, cast("pb.SymbolsListRes", await need(asked)))
    by_id = pb.SymbolByIdReq(ctidTraderAccountId=account_id, symbolId=[light.symbolId])
    full = full_of(light, cast("pb.SymbolByIdRes", await need(by_id)))
    return Statement(
        trader=trader,
        light=light,
        full=full,
        assets={each.assetId: each.name for each in assets},
        tiers=await _tiers(need, account_id, full),
        has_chain=await _has_chain(need, account_id, light.quoteAssetId, trader.depositAssetId),
    )


async def _tiers(need: Need, account_id: int, full: pb.Symbol) -> tuple[int, ...]:
    """Return the leverages of a symbol by exposure; none where the account's alone counts."""
    if not full.HasField("leverageId"):
        return ()
    request = pb.GetDynamicLeverageByIDReq(ctidTraderAccountId=account_id, leverageId=full.leverageId)
    return tiers_of(cast("pb.GetDynamicLeverageByIDRes", await need(request)))


async def _has_chain(need: Need, account_id: int, first_asset_id: int, last_asset_id: int) -> bool:
    if first_asset_id == last_asset_id:
        return True
    request = pb.SymbolsForConversionReq(
        ctidTraderAccountId=account_id, firstAssetId=first_asset_id, lastAssetId=last_asset_id
    )
    try:
        answer = cast("pb.SymbolsForConversionRes", await need(request))
    except (ConfigError, RejectedError):  # no such symbols
        return False
    except RetryError as failure:
        if failure.code != NO_SUCH_CHAIN:
            raise
        return False
    return chain_of(answer.symbol, first_asset_id, last_asset_id) is not None
