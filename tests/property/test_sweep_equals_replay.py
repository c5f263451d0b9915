"""The sweep says of every combination what ``core.replay`` says of it, money included, with ``==``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.comparison import seeded
from tests.oracle.worlds import World, int64, params_of, world_of

from palmbot.core.replay import replay
from palmbot.core.tape import TRADE_COLUMNS, Entry, new_tape
from palmbot.core.types import BarArrays, Instrument, Params, Pause, RollArrays, SentimentArrays, StopKind
from palmbot.core.world import Run
from palmbot.research import sweep as sweeping
from palmbot.research.statistics import max_drawdown_pct
from palmbot.research.sweep import Series, sweep
from palmbot.research.sweep_lanes import STRETCH
from palmbot.research.sweep_ledger import RESULT
from palmbot.research.sweep_params import grid_of, params_at, table_of
from palmbot.units import HOUR_MS, MINUTE_MS, PX

pytestmark = pytest.mark.timeout(600)  # the first test may have to compile the kernels

ROOT = Path(__file__).parents[2]
CHUNKS, WORLDS, COMPANIONS = 4, 250, 5
CAUTIOUS = ("gap_quantile", "flat_before")
COMPARED = [name for name in RESULT.names or () if name not in {"played", "replayed"}]
START_MS = 1_577_923_200_000


def by_replay(world: World) -> dict[str, float]:
    """Return what a recorded replay of ``world`` comes to."""
    tape = new_tape(60_000, world.bars.ts_ms.shape[0])
    outcome = replay(*world, tape)
    assert outcome.events <= tape.events.shape[0]
    rows = tape.events[: outcome.events]
    nets = rows[rows[:, 0] == Entry.TRADE, TRADE_COLUMNS.index("pnl_minor")].tolist()
    return {
        "trades": outcome.trades,
        "wins": sum(net > 0 for net in nets),
        "losses": sum(net < 0 for net in nets),
        "profit_minor": sum(net for net in nets if net > 0),
        "loss_minor": -sum(net for net in nets if net < 0),
        "balance_minor": outcome.balance_minor,
        "equity_minor": outcome.equity_minor,
        "max_drawdown_pct": max_drawdown_pct(world.balance_minor, tape.equity, tape.equity_low),
        "refusals": outcome.refusals,
        "trips": outcome.trips,
        "stopped_out_ms": outcome.stopped_out_ms,
    }


def series_of(world: World) -> Series:
    """Return the series of ``world``."""
    return Series(world.run.instrument, world.bars, world.rolls, world.rows)


def by_sweep(world: World, combinations: Sequence[Params], threads: int = 1) -> list[dict[str, float]]:
    """Return what one sweep says of ``combinations`` in ``world``."""
    found = sweep(series_of(world), table_of(combinations), world.balance_minor, threads=threads)
    assert found.fast_share == 1.0
    return [{name: row[name].item() for name in COMPARED} for row in found.results]


def with_params(world: World, params: Params) -> World:
    """Return ``world`` with another profile."""
    return world._replace(run=Run(params, world.run.instrument))


def company(world: World, rng: Random) -> list[Params]:
    """Return the profile of ``world`` and others, some of which share its signals or what ends its trades."""
    own = world.run.params
    period_ms = int(world.bars.end_ms[1] - world.bars.end_ms[0])
    found = [own]
    for _ in range(COMPANIONS):
        other = params_of(rng, max(period_ms, MINUTE_MS))
        entry = {name: getattr(other, name) for name in ("rsi_low", "rsi_high", "sentiment_long", "allow_short")}
        guard = {name: getattr(other, name) for name in ("daily_loss_bp", "drawdown_bp", "losses_max", "cooldown_ms")}
        found.append(rng.choice((other, own._replace(**entry), own._replace(**guard))))
    return found


def differences(world: World, name: object, combinations: Sequence[Params]) -> list[str]:
    """Return where sweep and replay differ about ``combinations`` in ``world``."""
    found = []
    for params, swept in zip(combinations, by_sweep(world, combinations), strict=True):
        replayed = by_replay(with_params(world, params))
        found += [
            f"world {name}, {key}: sweep {swept[key]}, replay {replayed[key]}\n{params}"
            for key in COMPARED
            if swept[key] != replayed[key]
        ]
    return found


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_sweep_equals_replay_on_awkward_worlds(chunk: int) -> None:
    for seed, world in seeded(chunk * WORLDS, WORLDS):
        found = differences(world, seed, company(world, Random(seed)))
        assert not found, "\n".join(found)


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_the_sweep_equals_replay_on_worlds_that_hypothesis_makes(rng: Random) -> None:
    world = world_of(rng, bars_max=30)
    found = differences(world, "drawn", company(world, rng))
    assert not found, "\n".join(found)


def wary(rng: Random, params: Params) -> Params:
    """Return ``params`` that may size by gaps and stay out of pauses."""
    quantile, pauses = rng.choice((0.0, 0.3, 0.9, 1.0)), rng.choice((0, 1, 2, 4, 9, 31))
    return params._replace(gap_quantile=quantile, flat_before=pauses)


def cautious(rng: Random, world: World) -> World:
    """Return ``world`` with pauses ahead of some bars and a wary profile; in half of them gaps go beyond its stop."""
    params, instrument = wary(rng, world.run.params), world.run.instrument
    if rng.random() < 0.5:
        params = params._replace(sl_ppm=2_000, sl_atr=0.5, risk_fraction=0.05, exposure_max=50.0, margin_share=1.0)
        instrument = instrument._replace(volume_min_cu=instrument.volume_step_cu, sl_min_px=0, leverage=100)
    kinds = [0, 0, 0, 0, *(int(pause) for pause in Pause if pause), int(Pause.CLOSE | Pause.WEEKEND)]
    ahead = int64([rng.choice(kinds) for _ in world.bars.ts_ms])
    return world._replace(run=Run(params, instrument), bars=world.bars._replace(ahead=ahead))


def test_the_sweep_knows_gaps_and_pauses() -> None:
    changed = dict.fromkeys(CAUTIOUS, 0)
    for seed, world in seeded(0, 400):
        rng = Random(f"cautious:{seed}")
        held = cautious(rng, world)
        own = held.run.params
        plain = own._replace(gap_quantile=0.0, flat_before=0)
        combinations = [plain, *(plain._replace(**{name: getattr(own, name)}) for name in CAUTIOUS)]
        combinations += [wary(rng, each) for each in company(held, rng)]
        found = differences(held, seed, combinations)
        assert not found, "\n".join(found)
        swept = by_sweep(held, combinations)
        for name, other in zip(CAUTIOUS, swept[1:], strict=False):
            changed[name] += other != swept[0]
    assert min(changed.values()) > 20, changed


def grainy(rng: Random, world: World) -> World:
    """Return ``world`` with little money, so that a minor unit is worth many steps of price, and tight limits."""
    params = world.run.params._replace(
        daily_loss_bp=rng.choice((0, 300, 800)), drawdown_bp=rng.choice((300, 1_000)), risk_fraction=10.0
    )
    step_cu = world.run.instrument.volume_step_cu
    instrument = world.run.instrument._replace(volume_min_cu=step_cu, volume_max_cu=3 * step_cu)
    bars = world.bars._replace(rate_e8=int64([]))
    return world._replace(run=Run(params, instrument), bars=bars, balance_minor=rng.choice((20, 50, 200, 1_000)))


def test_the_sweep_knows_that_money_is_rounded_and_the_mark_is_not() -> None:
    for seed, world in seeded(0, 300):
        found = differences(grainy(Random(seed), world), seed, company(grainy(Random(seed), world), Random(seed)))
        assert not found, "\n".join(found)


def levered(rng: Random, world: World) -> World:
    """Return ``world`` with as large a position as the margin lets in, far levels and no breakers."""
    params = world.run.params._replace(
        daily_loss_bp=0,
        drawdown_bp=0,
        losses_max=0,
        spike_bp=0,
        risk_fraction=5.0,
        exposure_max=50.0,
        margin_share=rng.choice((0.9, 1.0)),
        sl_ppm=rng.choice((30_000, 300_000)),
        sl_atr=20.0,
        trail_ppm=0,
        trail_atr=0.0,
    )
    instrument = world.run.instrument._replace(
        leverage=rng.choice((20, 50)), volume_max_cu=world.run.instrument.volume_step_cu * rng.choice((5, 10**6))
    )
    return world._replace(run=Run(params, instrument), bars=world.bars._replace(rate_e8=int64([])))


def test_the_sweep_knows_when_a_broker_would_have_closed() -> None:
    stopped = 0
    for seed, world in seeded(0, 300):
        held = levered(Random(seed), world)
        params = held.run.params
        found = differences(held, seed, [params, params._replace(rsi_low=45.0, rsi_high=55.0), params])
        assert not found, "\n".join(found)
        stopped += by_sweep(held, [params])[0]["stopped_out_ms"] > 0
    assert stopped > 20


def long_world(seed: int, volatility: float, period_ms: int, instrument: Instrument) -> World:
    """Return a walk around 4 000, longer than a stretch, with gaps, sentiment and a roll."""
    rng, count = np.random.default_rng(seed), 2 * STRETCH + 1_000
    log_price = np.empty(count)
    drift = 0.0
    for index, noise in enumerate(rng.normal(0.0, volatility, count).tolist()):
        drift = 0.9995 * drift + noise
        log_price[index] = drift
    close = np.rint(4_000 * np.exp(log_price)).astype(np.int64)
    jumps = np.rint(rng.normal(0.0, 4_000 * volatility, count) * (rng.random(count) < 0.2)).astype(np.int64)
    opens = np.maximum(np.concatenate([close[:1], close[:-1]]) + jumps, 1)
    wings = rng.exponential(4_000 * volatility / 2, (2, count)).astype(np.int64)
    high, low = np.maximum(opens, close) + wings[0], np.maximum(np.minimum(opens, close) - wings[1], 1)
    ts_ms = START_MS + np.arange(count, dtype=np.int64) * period_ms
    ahead = np.where(rng.random(count) < 0.02, int(Pause.CLOSE | Pause.WEEKEND), 0)
    bars = BarArrays(ts_ms, ts_ms + period_ms, opens * PX, high * PX, low * PX, close * PX, int64([]), ahead)
    known_ms = bars.end_ms[::7].copy()
    rows = SentimentArrays(known_ms, np.asarray(rng.uniform(-100, 100, known_ms.shape[0]), np.float64))
    rolls = RollArrays(ts_ms[count // 2 : count // 2 + 1].copy(), int64([17 * PX]))
    return World(Run(Params(), instrument), 10_000_000, bars, rolls, rows)


COSTLY = Instrument(swap_kind=1, swap_long=-300_000, swap_short=100_000, conversion_fee_bp=20)
BARE = Instrument(volume_min_cu=2_500, volume_max_cu=2_500, spread=0, slippage=0, commission_rate=0)
OPEN_HANDED = Params(
    sentiment_long=-101.0,
    sentiment_short=101.0,
    sentiment_max_age_ms=1 << 60,
    warmup_bars=15,
    risk_fraction=1_000.0,
    exposure_max=1_000.0,
    margin_share=1_000.0,
    daily_loss_bp=0,
    drawdown_bp=0,
    losses_max=0,
    spike_bp=0,
    open_gap_max_bp=0,
)
AXES: dict[str, list[float]] = {
    "rsi_low": [25.0, 38.0],
    "rsi_high": [62.0, 75.0],
    "tp_ppm": [10_000, 30_000],
    "sl_ppm": [10_000, 15_000],
}
LONG_JOBS = {
    "bare": (BARE, OPEN_HANDED),
    "bare, limits near": (BARE, OPEN_HANDED._replace(daily_loss_bp=1, drawdown_bp=1, rearm_after_ms=HOUR_MS * 500)),
    "whole": (COSTLY, Params(sentiment_long=0.0, sentiment_short=0.0)),
    "whole, risky": (COSTLY, Params(risk_fraction=0.05, daily_loss_bp=600, drawdown_bp=0, losses_max=2)),
    "cautious": (COSTLY, Params(gap_quantile=0.95, flat_before=int(Pause.WEEKEND), risk_fraction=0.02, drawdown_bp=0)),
    "cautious, trailing": (
        COSTLY,
        Params(gap_quantile=0.5, flat_before=int(Pause.CLOSE), trail_ppm=8_000, max_bars=90, rsi_exit=60.0),
    ),
    "trailing": (COSTLY, Params(trail_ppm=8_000, max_bars=90, rsi_exit=60.0, drawdown_bp=0)),
    "trend": (
        COSTLY,
        Params(profile=1, stop_kind=int(StopKind.ATR), sl_atr=4.0, tp_atr=8.0, trail_atr=4.0, drawdown_bp=9_000),
    ),
}


@pytest.mark.parametrize("job", LONG_JOBS)
@pytest.mark.parametrize(("volatility", "period_ms"), [(0.0007, MINUTE_MS), (0.003, HOUR_MS)])
def test_the_sweep_equals_replay_over_several_stretches(job: str, volatility: float, period_ms: int) -> None:
    instrument, base = LONG_JOBS[job]
    world = long_world(7, volatility, period_ms, instrument)
    table = grid_of(base, AXES)
    combinations = [params_at(table, row) for row in range(table.shape[0])]
    found = differences(world, job, combinations)
    assert not found, "\n".join(found)


def test_neither_threads_nor_parts_nor_company_change_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    world = long_world(3, 0.001, MINUTE_MS, COSTLY)
    table = grid_of(Params(sentiment_long=0.0, sentiment_short=0.0), AXES)
    series = series_of(world)
    alone = sweep(series, table, world.balance_minor).results
    assert alone["trades"].min() > 0
    assert np.array_equal(sweep(series, table, world.balance_minor, threads=3).results, alone)
    assert np.array_equal(sweep(series, table[::-1], world.balance_minor).results, alone[::-1])
    monkeypatch.setattr(sweeping, "SETS_BYTES_MAX", 1)
    assert np.array_equal(sweep(series, table, world.balance_minor, threads=2).results, alone)


def said(first: int, count: int) -> list[str]:
    """Return a line for each of ``count`` seeded worlds: what the sweep says of it."""
    return [json.dumps(by_sweep(world, company(world, Random(seed)))) for seed, world in seeded(first, count)]


def test_the_kernels_uncompiled_say_the_same() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    uncompiled = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.property.test_sweep_equals_replay", "0", "12"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert uncompiled.returncode == 0, uncompiled.stderr
    assert uncompiled.stdout.splitlines() == said(0, 12)


if __name__ == "__main__":
    sys.stdout.write("\n".join(said(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
