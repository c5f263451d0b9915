"""What a person is told of a clock that is off, and when a start is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from palmbot.bootstrap.punctual import NOTICE_MS, REFUSE_MS, Punctual
from palmbot.errors import RefusedError


class Client:
    """Says what a test lets it."""

    on_lag: Callable[[int], None]


def told(*lags_ms: int) -> tuple[list[str], RefusedError | None]:
    """Return the notes that these figures lead to, and the refusal."""
    notes: list[str] = []

    async def hear() -> None:
        client = Client()
        punctual = Punctual(client, notes.append)
        for lag_ms in lags_ms:
            client.on_lag(lag_ms)
        beside = asyncio.create_task(punctual.run())
        await asyncio.sleep(0)
        beside.cancel()
        await beside

    try:
        asyncio.run(hear())
    except RefusedError as refusal:
        return notes, refusal
    except asyncio.CancelledError:
        return notes, None
    raise AssertionError("it ended by itself")


def test_a_clock_within_the_tolerance_is_no_news() -> None:
    assert told(NOTICE_MS, -NOTICE_MS, 80) == ([], None)


def test_a_clock_ahead_is_told_once_with_what_to_do_and_again_when_it_comes_back() -> None:
    notes, refusal = told(2_100, 2_200, 50, 1_200)
    assert refusal is None
    assert len(notes) == 2
    assert notes[0].startswith(
        "This machine's clock is 2.1 s ahead of the broker's quotes, or they come as late. Bars end"
    )
    assert "NTP" in notes[0]
    assert "Bars end" not in notes[1]


def test_a_clock_behind_ends_no_bar_early_and_is_told() -> None:
    notes, refusal = told(-9_000)
    assert refusal is None
    assert len(notes) == 1
    assert notes[0].startswith("This machine's clock is 9.0 s behind the broker's quotes.")


def test_a_start_far_ahead_is_refused_and_a_jump_later_is_told() -> None:
    notes, refusal = told(REFUSE_MS + 1)
    assert notes == []
    assert refusal is not None
    assert (refusal.code, refusal.facts["ahead_s"]) == ("CLOCK_AHEAD", 5.0)
    notes, refusal = told(100, REFUSE_MS + 1_000)
    assert refusal is None
    assert len(notes) == 1
