"""What holds for the generated market of any seed and instrument."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palmbot.calendar import Session, is_open, open_mask
from palmbot.core.types import CostKind, Instrument
from palmbot.exchange.market import MarketState, Tick, advance, start
from palmbot.exchange.market_arrays import START_MS, history, synthetic_bars, synthetic_sentiment
from palmbot.instruments import BURSA, PALM_OIL, InstrumentSpec
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, step_px

SESSIONS = (
    BURSA,
    replace(BURSA, holidays=frozenset({date(2024, 3, 11), date(2024, 3, 12)})),
    Session(),
    Session("America/New_York", ((17 * 60, 4 * 1_440 + 17 * 60),)),  # Monday evening to Friday evening
    Session("Europe/London", tuple((day * 1_440 + 480, day * 1_440 + 990) for day in range(5))),
)
MARCH_MS = START_MS + 60 * DAY_MS  # the clocks change in these weeks

seeds = st.integers(-(2**63), 2**63)
starts = st.integers(0, 30 * DAY_MS).map(lambda after_ms: MARCH_MS + after_ms)


@st.composite
def specs(draw: st.DrawFn) -> InstrumentSpec:
    """Return an instrument of any session, price, step and spread."""
    digits = draw(st.integers(0, 5))
    points = draw(st.booleans())
    core = Instrument(
        step_px=step_px(digits),
        spread_kind=int(CostKind.POINTS if points else CostKind.PPM),
        spread=draw(st.integers(0, 300_000 if points else 2_000)),
    )
    return InstrumentSpec(
        digits=digits,
        core=core,
        session=draw(st.sampled_from(SESSIONS)),
        price_hint=draw(st.integers(1 if digits > 2 else 100, 50_000)),
    )


@given(seeds, specs(), starts, st.integers(1, 120))
@settings(max_examples=40)
def test_ticks_are_in_order_in_session_on_the_grid_and_two_sided(
    seed: int, spec: InstrumentSpec, start_ms: int, minutes: int
) -> None:
    state = start(spec, seed, start_ms)
    ticks: list[Tick] = []
    for _ in range(minutes):
        state, more, _ = advance(state, spec)
        assert 1 <= len(more) <= 4
        ticks += more
    assert ticks[0].ts_ms >= start_ms
    assert all(before.ts_ms < after.ts_ms for before, after in pairwise(ticks))
    for tick in ticks:
        assert is_open(tick.ts_ms, spec.session)
        assert tick.bid_px > 0
        assert tick.bid_px % state.tick_px == 0
        assert tick.ask_px > tick.bid_px
        assert (tick.ask_px - tick.bid_px) % spec.core.step_px == 0
        assert tick.ask_px - tick.bid_px >= spec.core.spread or spec.core.spread_kind != CostKind.POINTS
    assert state.bid_px == ticks[-1].bid_px


@given(seeds, specs(), starts, st.integers(0, 150), st.integers(1, 60))
@settings(max_examples=40)
def test_a_market_resumed_at_any_minute_shows_the_same_ticks(
    seed: int, spec: InstrumentSpec, start_ms: int, before: int, after: int
) -> None:
    state = start(spec, seed, start_ms)
    for _ in range(before):
        state = advance(state, spec)[0]
    resumed = MarketState.of_body(json.loads(json.dumps(state.body())))
    for _ in range(after):
        state, ticks, rows = advance(state, spec)
        resumed, ticks_again, rows_again = advance(resumed, spec)
        assert (ticks, rows) == (ticks_again, rows_again)
    assert state == resumed


@given(seeds, specs(), starts, st.sampled_from([MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, DAY_MS]), st.integers(1, 200))
@settings(max_examples=40)
def test_series_are_valid_bars_of_any_instrument(
    seed: int, spec: InstrumentSpec, start_ms: int, period_ms: int, n: int
) -> None:
    bars = synthetic_bars(spec, seed, n, period_ms, start_ms)
    assert len(bars.ts_ms) == n
    assert open_mask(bars.ts_ms, spec.session).all()
    assert (np.diff(bars.end_ms) > 0).all()
    assert (bars.ts_ms >= start_ms).all()
    assert (bars.ts_ms < bars.end_ms).all()
    assert (bars.low_px > 0).all()
    assert (bars.low_px <= np.minimum(bars.open_px, bars.close_px)).all()
    assert (bars.high_px >= np.maximum(bars.open_px, bars.close_px)).all()
    assert not (bars.close_px % spec.core.step_px).any()


@given(seeds, specs(), starts, st.integers(1, 60))
@settings(max_examples=20)
def test_history_joins_the_ticks_that_follow_it(seed: int, spec: InstrumentSpec, start_ms: int, bars: int) -> None:
    made, state = history(spec, seed, bars, HOUR_MS, start_ms)
    assert len(made) == bars
    assert (made, state) == history(spec, seed, bars, HOUR_MS, start_ms)
    first = advance(state, spec)[1][0]
    assert first.ts_ms >= start_ms
    assert made[-1].ts_ms // HOUR_MS < first.ts_ms // HOUR_MS or first.opens_gap
    assert all(before.ts_ms < after.ts_ms for before, after in pairwise(made))


@given(st.integers(0, 1_000), st.integers(10, 400))
@settings(max_examples=25)
def test_a_later_bar_never_changes_an_earlier_sentiment(seed: int, known: int) -> None:
    bars = synthetic_bars(PALM_OIL, seed, 401)
    changed = bars._replace(close_px=np.where(np.arange(401) < known, bars.close_px, bars.close_px * 2))
    one, two = synthetic_sentiment(bars, seed), synthetic_sentiment(changed, seed)
    until = int(bars.end_ms[known - 1])
    assert np.array_equal(one.known_ms[one.known_ms <= until], two.known_ms[two.known_ms <= until])
    assert np.array_equal(one.score[one.known_ms <= until], two.score[two.known_ms <= until])
