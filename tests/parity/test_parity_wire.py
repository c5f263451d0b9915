"""The worlds of ``test_parity_worlds`` once more, bot and exchange meeting over real TLS and protobuf in lock-step.

The wire says a conversion rate by the price of a listed pair, five decimals: so these worlds have a second currency,
and rates that such a price can say, as the loader makes them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.oracle.worlds import World, world_of
from tests.parity.pair import Rig
from tests.parity.test_parity_worlds import EXITS, REFUSALS, compared

from palmbot.core.types import CommissionKind
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.units import DAY_MS, MINUTE_MS, px_of_rate, rate_of_px

WORLDS = 160


def currencies(world: World) -> InstrumentSpec:
    """Return palm oil in one currency, or in two where ``world`` converts; the wire has lot commissions in USD."""
    if world.bars.rate_e8.size == 0:
        return PALM_OIL
    if world.run.instrument.commission_kind == CommissionKind.PER_LOT_DEPOSIT:
        return replace(PALM_OIL, deposit_currency="USD")
    return replace(PALM_OIL, quote_currency="USD")


def sayable(world: World) -> World:
    """Return ``world`` with the rates that the price of USDMYR can say; what is not known at first stays so."""
    is_inverse = currencies(world).quote_currency == "MYR"
    said = [rate and rate_of_px(px_of_rate(rate, is_inverse), is_inverse) for rate in world.bars.rate_e8.tolist()]
    return world._replace(bars=world.bars._replace(rate_e8=np.array(said, np.int64)))


def has_bars(world: World) -> bool:
    """Return whether a broker's bars of whole minutes make those of ``world``."""
    period_ms = int(np.min(np.diff(world.bars.end_ms)))
    anchor_ms = world.run.instrument.day_start_ms if period_ms >= DAY_MS else 0
    return period_ms % MINUTE_MS == 0 and anchor_ms % MINUTE_MS == 0


@pytest.mark.timeout(600)
def test_bot_and_exchange_equal_the_replay_over_the_wire(tmp_path: Path) -> None:
    exits: Counter[int] = Counter()
    refusals: Counter[int] = Counter()
    seen = converted = 0
    for seed in range(WORLDS):
        world = sayable(world_of(Random(f"parity:{seed}")))
        if not has_bars(world):
            continue
        rig = Rig(world.run.params, world.balance_minor, wire=tmp_path)
        outcome = compared(world, rig, currencies(world))
        if outcome is None:
            continue
        found, told = outcome
        assert found == [], f"world {seed} differs:\n" + "\n".join(found)
        seen += 1
        converted += world.bars.rate_e8.size > 0
        exits.update(trade.exit_reason for trade in told.trades)
        refusals.update(refusal.reason for refusal in told.refusals)
    assert seen > WORLDS // 2
    assert converted > WORLDS // 8
    assert set(exits) == set(EXITS)
    assert set(refusals) == set(REFUSALS)
