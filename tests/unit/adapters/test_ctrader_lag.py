"""How far this machine's clock is ahead of a broker's quotes: by the least lag of many."""

from __future__ import annotations

import pytest
from tests.scripted_peer import spot
from tests.unit.adapters.ctrader_world import World

from palmbot.adapters.ctrader_lag import QUOTES, Lag

NOW_MS = 1_800_000_000_000


def figures(lag: Lag, told: list[int], lags_ms: list[int]) -> list[int]:
    """Return every figure that quotes of ``told``, which came so late, lead to."""
    taken = [lag.take(told_ms, told_ms + lag_ms) for told_ms, lag_ms in zip(told, lags_ms, strict=True)]
    return [each for each in taken if each is not None]


def test_the_least_lag_of_many_is_told_and_the_first_quote_is_not_one_of_them() -> None:
    told = [NOW_MS + 100 * number for number in range(2 * QUOTES + 1)]
    lags = [-90_000, *(3_000 + 7 * number for number in range(QUOTES)), *[4_000] * QUOTES]
    assert figures(Lag(), told, lags) == [3_000, 4_000]


def test_a_price_that_is_only_repeated_tells_nothing() -> None:
    assert figures(Lag(), [NOW_MS] * 100, list(range(100))) == []
    assert figures(Lag(), [0] * 100, list(range(100))) == []


def test_a_new_link_begins_anew() -> None:
    lag = Lag()
    told = [NOW_MS + number for number in range(QUOTES)]
    assert figures(lag, told, [3_000] * QUOTES) == []
    lag.forget()
    assert figures(lag, [each + 1_000 for each in told], [5_000] * QUOTES) == []


@pytest.mark.parametrize("is_simulated", [False, True])
def test_a_client_tells_it_where_the_market_has_this_machines_clock(*, is_simulated: bool) -> None:
    found: list[int] = []

    async def tell(world: World) -> None:
        await world.listening()
        world.ctrader._is_simulated = is_simulated
        world.ctrader.on_lag = found.append
        for number in range(QUOTES + 1):
            world.peer.last.send(spot(400_000_000 + number, 400_200_000, world.clock.utc_ms() - 7_000))
            await world.passes(0.5)

    World().play(tell)
    assert len(found) == (0 if is_simulated else 1)
    assert all(7_000 <= each < 7_500 for each in found)
