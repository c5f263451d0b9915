"""Chance: a stream for each concern, and a market for each seed."""

from __future__ import annotations

import numpy as np

from palmbot.simulation.script import Concern, Script


def test_every_concern_and_every_seed_has_a_stream_of_its_own() -> None:
    draws = [Script(seed).rng(concern).random() for seed in (1, 2) for concern in Concern]
    assert len(set(draws)) == 2 * len(Concern)
    assert Script(1).rng(Concern.NETWORK).random() == Script(1).rng(Concern.NETWORK).random()


def test_a_market_has_as_many_bars_as_asked_for_and_is_the_seed_s_own() -> None:
    one, again, other = Script(1, bars=50).market(), Script(1, bars=50).market(), Script(2, bars=50).market()
    assert one.ts_ms.shape == (50,)
    assert np.array_equal(one.close_px, again.close_px)
    assert not np.array_equal(one.close_px, other.close_px)


def test_sentiment_is_known_from_some_bar_on() -> None:
    script = Script(1, bars=50)
    end_ms = int(script.market().end_ms[-1])
    assert script.timeline().at(end_ms).known_ms >= 0
    assert script.timeline().at(0).known_ms == -1
