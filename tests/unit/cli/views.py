"""Views of a bot at a few moments, for the tests of what is shown of them."""

from __future__ import annotations

import math
from dataclasses import replace

from palmbot.core.types import Action, Reason, Side
from palmbot.model import BotView, BreakerView, BrokerPosition, HistoryBar, LinkState, Trade
from palmbot.units import HOUR_MS, MINUTE_MS, PX

NOON_MS = 1_767_614_400_000  # 2026-01-05 12:00 UTC, a Monday

TRADES = (
    Trade(NOON_MS - 30 * HOUR_MS, NOON_MS - 26 * HOUR_MS, Side.LONG, 1_300, 3_985 * PX, 4_064.7 * PX, Reason.TP,
          98_745, 103_545, 0, -4_800, 0, 50_000.0),
    Trade(NOON_MS - 55 * HOUR_MS, NOON_MS - 53 * HOUR_MS, Side.SHORT, 1_300, 4_010 * PX, 4_071 * PX, Reason.SL,
          -84_100, -79_300, 0, -4_800, 0, 50_000.0),
)  # fmt: skip

START = BotView(
    mode="paper",
    synthetic=True,
    symbol="PALMOIL",
    profile="rsi_sentiment",
    digits=3,
    money_digits=2,
    lot_cu=2_500,
    clock_ms=NOON_MS,
    bid_px=0,
    ask_px=0,
    bar=None,
    bars_closed=0,
    warmup_bars=250,
    rsi=math.nan,
    sentiment=None,
    sentiment_age_ms=None,
    balance_minor=10_000_000,
    equity_minor=10_000_000,
    day_open_minor=10_000_000,
    daily_limit_minor=500_000,
    peak_minor=10_000_000,
    position=None,
    position_reason=Reason.NONE,
    sl_first_px=0,
    breakers=(),
    decisions=(),
    trades=(),
    trades_count=0,
    wins_count=0,
    link=LinkState.CONNECTING,
)

FLAT = replace(
    START,
    bid_px=3_999_500 * 100,
    ask_px=4_001_500 * 100,
    bar=HistoryBar(NOON_MS - 30 * MINUTE_MS, 3_990 * PX, 4_010 * PX, 3_985 * PX, 399_950_000),
    bars_closed=412,
    rsi=28.4,
    sentiment=35.0,
    sentiment_age_ms=12 * MINUTE_MS,
    balance_minor=10_014_645,
    equity_minor=10_014_645,
    day_open_minor=10_098_745,
    peak_minor=10_098_745,
    decisions=tuple(
        (NOON_MS - back * HOUR_MS, action, reason)
        for back, action, reason in (
            (0, Action.NONE, Reason.SENTIMENT_WEAK),
            (1, Action.NONE, Reason.NO_SIGNAL),
            (2, Action.EXIT, Reason.TIME),
            (3, Action.AMEND, Reason.TRAIL),
            (4, Action.NONE, Reason.HOLDING),
            (5, Action.ENTER, Reason.ENTRY_LONG),
            (6, Action.NONE, Reason.VOLUME_BELOW_MINIMUM),
            (7, Action.NONE, Reason.NO_SIGNAL),
            (8, Action.NONE, Reason.NO_SIGNAL),
            (9, Action.NONE, Reason.NO_SIGNAL),
            (10, Action.NONE, Reason.NO_SIGNAL),
            (11, Action.NONE, Reason.NO_SIGNAL),
        )
    ),
    trades=TRADES,
    trades_count=17,
    wins_count=9,
    link=LinkState.READY,
)

LONG = replace(
    FLAT,
    equity_minor=10_047_145,
    position=BrokerPosition(
        1, "PALMOIL", Side.LONG, 1_300, 3_974_500 * 100, 3_915_000 * 100, 4_054_000 * 100, 0, -2_500, 10_335_000,
        "pb-1", NOON_MS - 5 * HOUR_MS,
    ),
    position_reason=Reason.ENTRY_LONG,
    sl_first_px=3_915_000 * 100,
)  # fmt: skip

SHORT = replace(
    LONG,
    equity_minor=9_979_645,
    position=BrokerPosition(
        2, "PALMOIL", Side.SHORT, 1_300, 3_974_500 * 100, 4_034_000 * 100, 3_895_000 * 100, 0, -2_500, 10_335_000,
        "pb-2", NOON_MS - 5 * HOUR_MS,
    ),
    position_reason=Reason.ENTRY_SHORT,
    sl_first_px=4_034_000 * 100,
    sentiment=-41.0,
    rsi=74.2,
)  # fmt: skip

BLOCKED = replace(
    FLAT,
    synthetic=False,
    equity_minor=9_590_000,
    balance_minor=9_590_000,
    sentiment_age_ms=50 * HOUR_MS,
    link=LinkState.LOST,
    breakers=(
        BreakerView(Reason.HALT_DRAWDOWN, 0),
        BreakerView(Reason.DAILY_LOSS, NOON_MS + 22 * HOUR_MS + 59 * MINUTE_MS),
        BreakerView(Reason.VOLATILITY_SPIKE, NOON_MS + 42 * MINUTE_MS),
    ),
)
