from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from palmbot.adapters.clock import SystemClock
from palmbot.ports import Clock


def test_the_system_clock_is_what_the_port_asks_for() -> None:
    clock: Clock = SystemClock()  # mypy compares the signatures
    assert clock.monotonic_ms() > 0


def test_utc_is_in_milliseconds_since_1970() -> None:
    before = datetime.now(UTC).timestamp()  # noqa: TID251 - the oracle
    told = SystemClock().utc_ms()
    after = datetime.now(UTC).timestamp()  # noqa: TID251 - the oracle
    assert int(before * 1000) <= told <= after * 1000


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system does not count its sleep")
def test_the_monotonic_clock_is_the_one_that_counts_the_machines_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read(clock: int) -> int:
        asked.append(clock)
        return 5_999_999

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    assert SystemClock().monotonic_ms() == 5
    assert asked == [time.CLOCK_BOOTTIME]


async def test_a_sleep_lasts_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    start = time.monotonic_ns()  # the loop's own clock
    await clock.sleep(0.02)
    assert time.monotonic_ns() - start >= 19_000_000  # the loop rounds to its resolution
