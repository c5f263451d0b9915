"""A symbol as the broker states it beside the instrument as it is configured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from palmbot.instruments import InstrumentSpec
from palmbot.protocol.messages import pb
from palmbot.units import step_px

DIGITS_MAX = 5  # what prices of 1e-5 can hold


class Listed(NamedTuple):
    """One symbol of the broker's: in brief, and in full."""

    light: pb.LightSymbol
    full: pb.Symbol


def differences(listed: Listed, trader: pb.Trader, assets: Mapping[int, str], spec: InstrumentSpec) -> list[str]:
    """Return what the broker states otherwise than ``spec``, each in a few words.

    Volumes are in lots of the broker's, distances in points. What the broker leaves unsaid is no difference.
    """
    symbol, core = listed.full, spec.core
    lot_cu = symbol.lotSize or core.lot_cu
    pairs: list[tuple[str, object, object]] = [
        ("digits", symbol.digits, spec.digits),
        ("quote currency", assets.get(listed.light.quoteAssetId), spec.quote_currency),
        ("deposit currency", assets.get(trader.depositAssetId), spec.deposit_currency),
        ("money digits", _said(trader, "moneyDigits"), core.money_digits),
        ("leverage", trader.leverageInCents / 100 if trader.leverageInCents else None, float(core.leverage)),
        ("lot", _said(symbol, "lotSize"), core.lot_cu),
        ("least volume", _lots(symbol, "minVolume", lot_cu), core.volume_min_cu / lot_cu),
        ("volume step", _lots(symbol, "stepVolume", lot_cu), core.volume_step_cu / lot_cu),
        ("largest volume", _lots(symbol, "maxVolume", lot_cu), core.volume_max_cu / lot_cu),
    ]
    if symbol.distanceSetIn == pb.SYMBOL_DISTANCE_IN_POINTS and symbol.digits <= DIGITS_MAX:
        point_px = step_px(symbol.digits)
        pairs += [
            ("stop distance", _said(symbol, "slDistance"), core.sl_min_px / point_px),
            ("target distance", _said(symbol, "tpDistance"), core.tp_min_px / point_px),
        ]
    return [
        f"{what} {_shown(theirs)}, configured {_shown(ours)}" for what, theirs, ours in pairs if _differ(theirs, ours)
    ]


def _said(message: pb.Symbol | pb.Trader, field: str) -> int | None:
    """Return a field of the message, None where it is absent."""
    return int(getattr(message, field)) if message.HasField(field) else None


def _lots(symbol: pb.Symbol, field: str, lot_cu: int) -> float | None:
    volume_cu = _said(symbol, field)
    return None if volume_cu is None else volume_cu / lot_cu


def _differ(theirs: object, ours: object) -> bool:
    return theirs is not None and theirs != ours


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
