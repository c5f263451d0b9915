"""Defaults follow the bar period; what a person set does not."""

from __future__ import annotations

import pytest

from palmbot.core.types import Params
from palmbot.errors import ConfigError
from palmbot.settings import resolve_params
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS


@pytest.mark.parametrize(
    ("period_ms", "cooldown_ms", "pause_ms", "spike_bars"),
    [
        (MINUTE_MS, 4 * HOUR_MS, HOUR_MS, 60),
        (15 * MINUTE_MS, 4 * HOUR_MS, HOUR_MS, 4),
        (HOUR_MS, 4 * HOUR_MS, HOUR_MS, 1),
        (4 * HOUR_MS, 4 * HOUR_MS, 4 * HOUR_MS, 1),
        (DAY_MS, DAY_MS, DAY_MS, 1),
    ],
)
def test_pauses_last_a_bar_and_the_spike_window_an_hour_at_least(
    period_ms: int, cooldown_ms: int, pause_ms: int, spike_bars: int
) -> None:
    found = resolve_params(Params(), period_ms)
    assert (found.cooldown_ms, found.pause_ms, found.spike_bars) == (cooldown_ms, pause_ms, spike_bars)
    assert resolve_params(found, period_ms) == found


def test_nothing_else_follows_the_period() -> None:
    same = {"cooldown_ms": 0, "pause_ms": 0, "spike_bars": 0}
    assert resolve_params(Params(), DAY_MS)._replace(**same) == Params()._replace(**same)


def test_what_a_person_set_stays() -> None:
    params = Params(cooldown_ms=DAY_MS, pause_ms=2 * HOUR_MS, spike_bars=3)
    explicit = {"cooldown_ms", "pause_ms", "spike_bars"}
    assert resolve_params(params, MINUTE_MS, explicit) == params


@pytest.mark.parametrize("name", ["cooldown_ms", "pause_ms"])
def test_a_pause_shorter_than_a_bar_is_refused_only_when_a_person_set_it(name: str) -> None:
    params = Params()._replace(**{name: HOUR_MS - 1})
    with pytest.raises(ConfigError, match="COOLDOWN_TOO_SHORT"):
        resolve_params(params, HOUR_MS, {name})
    assert getattr(resolve_params(params, HOUR_MS), name) == HOUR_MS
    params = Params()._replace(**{name: HOUR_MS})
    assert getattr(resolve_params(params, HOUR_MS, {name}), name) == HOUR_MS
