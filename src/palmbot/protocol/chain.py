"""The symbols that turn one currency into another (sheet 5.6). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from palmbot.protocol.messages import pb

NO_SUCH_CHAIN = "ENTITY_NOT_FOUND"  # what a broker answers that knows none


class Leg(NamedTuple):
    """One pair of a conversion chain; inverse where it is listed the other way round."""

    symbol_id: int
    is_inverse: bool


def chain_of(listed: Iterable[pb.LightSymbol], first_asset_id: int, last_asset_id: int) -> tuple[Leg, ...] | None:
    """Return the legs that lead from one asset to the other over ``listed``, in its order (sheet 5.6).

    Returns:
        No legs where the assets are one; None where ``listed`` does not lead there.
    """
    legs, asset_id = [], first_asset_id
    for each in listed:
        is_inverse = each.baseAssetId != asset_id
        if is_inverse and each.quoteAssetId != asset_id:
            return None
        legs.append(Leg(each.symbolId, is_inverse))
        asset_id = each.baseAssetId if is_inverse else each.quoteAssetId
    return tuple(legs) if asset_id == last_asset_id else None
