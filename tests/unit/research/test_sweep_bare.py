"""The sweep and the bare loop that it is measured against do the same work, bar for bar."""

from __future__ import annotations

import numpy as np
from bench.replay import walk
from bench.sweep import bare_loops, is_equal, jobs_of, swept


def test_job_a_and_the_bare_loop_close_the_same_trades_on_bars_that_open_away_from_the_last_close() -> None:
    bars = walk()
    bars = bars._replace(**{name: column[:20_000] for name, column in bars._asdict().items()})
    jumps = np.random.default_rng(5).integers(-20_000, 20_001, 20_000) * 100
    moved_px = np.cumsum(np.where(np.arange(20_000) % 40 == 0, jumps, 0))
    prices = ("open_px", "high_px", "low_px", "close_px")
    bars = bars._replace(**{name: getattr(bars, name) + moved_px for name in prices})
    job = jobs_of(bars)["a"]
    results, bare = swept(bars, job, 1).results, bare_loops(bars)()
    assert results["trades"].sum() > 10_000
    assert is_equal(bare, results, job.balance_minor)
    trades, points = bare[0]
    assert not is_equal([(trades + 1, points), *bare[1:]], results, job.balance_minor)
    assert not is_equal([(trades, points + 1.0), *bare[1:]], results, job.balance_minor)
