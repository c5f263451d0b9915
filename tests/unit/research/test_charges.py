"""What an instrument charges a unit is what its trades are charged."""

from __future__ import annotations

from typing import Any

import pytest

from palmbot.core import fills
from palmbot.core.types import CommissionKind, CostKind, Instrument, SwapKind
from palmbot.research.charges import charged
from palmbot.units import CU, DAY_MS, PX, RATE_ONE_E8

MONDAY_MS = 4 * DAY_MS  # no triple swap
PRICE_PX, RATE_E8 = 4_000 * PX, RATE_ONE_E8 // 4
WAYS: list[dict[str, Any]] = [
    {},
    {"spread_kind": int(CostKind.PPM), "spread": 750, "slippage_kind": int(CostKind.PPM), "slippage": 250},
    {"commission_kind": int(CommissionKind.PERCENT_OF_VALUE), "commission_rate": 3_000},
    {"commission_kind": int(CommissionKind.PER_LOT_DEPOSIT), "commission_rate": 500_000_000},
    {"commission_min_minor": 90_000},
    {"commission_rate": 0, "commission_min_minor": 90_000},
    {"swap_long": -4_000_000_000, "swap_short": 2_000_000_000},
    {"swap_kind": int(SwapKind.PERCENT_PER_YEAR), "swap_long": -720_000, "swap_short": -360_000},
]


@pytest.mark.parametrize("way", WAYS)
def test_a_round_trip_and_a_night_of_one_lot_are_those_of_the_core(way: dict[str, Any]) -> None:
    core = Instrument()._replace(**way)
    lot_cu = core.lot_cu

    def px_of(minor: int) -> int:
        return round(minor / 100 / (RATE_E8 / RATE_ONE_E8) / (lot_cu / CU) * PX)

    found = charged(core, PRICE_PX, RATE_E8, {})
    commission_px = px_of(-fills.commission_minor(core, PRICE_PX, lot_cu, RATE_E8))
    sides_px = 2 * (fills.slippage_px(core, PRICE_PX) + commission_px)
    assert found.round_trip_px == fills.spread_px(core, PRICE_PX) + sides_px
    for side, night_px in ((1, found.night_long_px), (-1, found.night_short_px)):
        assert night_px == -px_of(fills.swap_minor(core, side, PRICE_PX, lot_cu, RATE_E8, MONDAY_MS))


def test_a_night_is_a_day_however_often_swap_is_charged() -> None:
    core = Instrument()._replace(swap_long=-4_000_000_000, swap_period_ms=DAY_MS // 3)
    assert charged(core, PRICE_PX, RATE_E8, {}).night_long_px == 3 * 40_000
