"""When a view says that the market is closed."""

from __future__ import annotations

from palmbot.bootstrap.bot import _opens_ms
from palmbot.calendar import Session
from palmbot.instruments import PALM_OIL

MONDAY_MS = 1_704_672_000_000  # 2024-01-08 00:00Z
OPENS_MS = MONDAY_MS + (2 * 60 + 30) * 60_000  # 10:30 in Kuala Lumpur


def test_a_closed_market_opens_where_its_session_says_and_an_open_one_never() -> None:
    assert _opens_ms(lambda: MONDAY_MS, PALM_OIL.session) == OPENS_MS
    assert _opens_ms(lambda: OPENS_MS - 1, PALM_OIL.session) == OPENS_MS
    assert _opens_ms(lambda: OPENS_MS, PALM_OIL.session) == 0
    assert _opens_ms(lambda: MONDAY_MS, Session()) == 0


def test_where_the_quotes_are_the_clock_nothing_is_said() -> None:
    assert _opens_ms(None, PALM_OIL.session) == 0
