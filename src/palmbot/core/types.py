"""Values of the decision core: NamedTuples of scalars in, NamedTuples of scalars out.

Every field is an int64 or a float64 so that the same value means the same in compiled code, in plain Python and in the
journal. Enum fields hold the enum's integer. Units are those of ``palmbot.units``; names end in them.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64Array: TypeAlias = NDArray[np.int64]
Float64Array: TypeAlias = NDArray[np.float64]


class Side(IntEnum):
    """Direction of a position; the sign of its profit per point."""

    SHORT = -1
    FLAT = 0
    LONG = 1


class Action(IntEnum):
    """What a decision asks for."""

    NONE = 0
    ENTER = 1
    AMEND = 2
    EXIT = 3


class Profile(IntEnum):
    """Entry rule of a parameter set."""

    RSI_SENTIMENT = 0
    RSI_TREND = 1
    CUSTOM = 2  # a user's own, see ``core.custom``


class Reason(IntEnum):
    """Why something happened or did not.

    Breakers come first and in order of precedence: when several block, the smallest one is shown and used.
    """

    NONE = 0
    # breakers
    HALT_DRAWDOWN = 1
    HALT_MANUAL = 2
    DAILY_LOSS = 3
    LOSS_STREAK = 4
    VOLATILITY_SPIKE = 5
    OPEN_GAP = 6
    STALE_FEED = 7
    WIDE_SPREAD = 8
    REJECT_STREAK = 9
    LINK_LOST = 10
    # no trade
    WARMING_UP = 20
    NO_SIGNAL = 21
    HOLDING = 22
    SENTIMENT_ABSENT = 23
    SENTIMENT_STALE = 24
    SENTIMENT_WEAK = 25
    # refusals
    STOP_TOO_CLOSE = 30
    TARGET_TOO_CLOSE = 31
    VOLUME_BELOW_MINIMUM = 32
    NO_CONVERSION_RATE = 33
    NOT_ENOUGH_MONEY = 34
    DECISION_EXPIRED = 35
    BROKER_REJECTED = 36
    MARKET_CLOSED = 37
    OUTCOME_UNKNOWN = 38
    PAUSE_AHEAD = 39  # the position would be open into a pause that the profile stays out of
    # entries
    ENTRY_LONG = 50
    ENTRY_SHORT = 51
    # exits
    SL = 60
    TP = 61
    TRAIL = 62
    TIME = 63
    SIGNAL = 64
    BREAKER_DAILY = 65
    BREAKER_DRAWDOWN = 66
    MANUAL = 67
    STOP_OUT = 68
    ROLL = 69
    FLAT = 70  # before a pause that the profile stays out of


class CostKind(IntEnum):
    """How a spread or slippage is stated."""

    POINTS = 0  # px
    PPM = 1  # 1/1 000 000 of the bar's open


class CommissionKind(IntEnum):
    """How a commission is stated; the scales are the wire's (protocol sheet 5.5)."""

    PER_LOT_DEPOSIT = 0  # rate / 10^8 of the deposit currency a lot and side
    PER_LOT_QUOTE = 1  # rate / 10^8 of the quote currency a lot and side
    PERCENT_OF_VALUE = 2  # rate / 10^5 percent of the deal's value a side


class SwapKind(IntEnum):
    """How a swap is stated."""

    PRICE = 0  # price distance x 10^10 a charge, times the volume
    PERCENT_PER_YEAR = 1  # percent x 10^5 a year of 360 days, on the value at the last bid


class StopKind(IntEnum):
    """How a profile places its stop, target and trail."""

    PERCENT = 0  # ppm of the decision bar's close
    ATR = 1  # multiples of the decision bar's ATR


class Pause(IntFlag):
    """Kinds of pause that a profile can stay out of; ``calendar.pauses_ahead`` says which are near."""

    NONE = 0
    CLOSE = 1  # any closed time
    DAY = 2  # the end of a trading day
    WEEKEND = 4  # closed over a Saturday of the session's time zone
    HOLIDAY = 8  # closed over a holiday of the session
    ROLL = 16  # the roll date of the instrument's calendar


class Params(NamedTuple):
    """Everything a profile decides by. Defaults are the ``rsi_sentiment`` profile."""

    profile: int = 0
    rsi_period: int = 14
    rsi_low: float = 30.0  # rsi_sentiment: long below; rsi_trend: short below
    rsi_high: float = 70.0  # rsi_sentiment: short above; rsi_trend: long above
    rsi_exit: float = 0.0  # leave when RSI is back through this level; 0 = off
    sentiment_long: float = 30.0  # long needs more than this
    sentiment_short: float = -30.0  # short needs less than this
    sentiment_max_age_ms: int = 86_400_000
    allow_short: int = 1
    warmup_bars: int = 250
    atr_period: int = 14
    stop_kind: int = 0
    sl_ppm: int = 15_000
    tp_ppm: int = 20_000
    trail_ppm: int = 0  # 0 = no trailing
    sl_atr: float = 4.0
    tp_atr: float = 6.0
    trail_atr: float = 0.0
    max_bars: int = 0  # time exit after this many closed bars, the entry bar counted as 1; 0 = off
    decision_ttl_ms: int = 0  # 0 = until the first tick of the next bar, whatever the gap
    open_gap_max_bp: int = 300
    flat_before: int = 0  # ``Pause`` bits: no position is held into these
    # sizing
    risk_fraction: float = 0.005
    exposure_max: float = 3.0  # notional / equity
    margin_share: float = 0.5  # margin / equity
    gap_quantile: float = 0.0  # size by this quantile of past open gaps where it is wider than the stop; 0 = off
    # breakers
    daily_loss_bp: int = 500
    drawdown_bp: int = 2_500
    rearm_after_ms: int = 0  # 0 = a drawdown halt is final
    losses_max: int = 3
    cooldown_ms: int = 14_400_000
    spike_bp: int = 300
    spike_bars: int = 1
    pause_ms: int = 3_600_000


class Instrument(NamedTuple):
    """What the core must know of a symbol and the account that trades it."""

    step_px: int = 100
    money_digits: int = 2
    lot_cu: int = 2_500
    volume_step_cu: int = 25
    volume_min_cu: int = 25
    volume_max_cu: int = 2_500_000
    leverage: int = 20
    spread_kind: int = 0
    spread: int = 200_000
    slippage_kind: int = 0
    slippage: int = 50_000
    commission_kind: int = 1
    commission_rate: int = 2_500_000_000
    commission_min_minor: int = 0
    conversion_fee_bp: int = 0  # of |gross|, only where quote and deposit currency differ
    sl_min_px: int = 0
    tp_min_px: int = 0
    swap_kind: int = 0
    swap_long: int = 0
    swap_short: int = 0
    swap_time_ms: int = 0  # first charge of a UTC day
    swap_period_ms: int = 86_400_000
    swap_triple_weekday: int = 2  # Monday = 0
    day_start_ms: int = 39_600_000


class Bar(NamedTuple):
    """A closed bar of bid prices, as the decision sees it."""

    ts_ms: int  # time of its first tick
    end_ms: int  # end of its bucket, when the decision is made
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    past_close_px: int  # close ``spike_bars`` bars before; 0 while there is none
    spread_px: int
    rate_e8: int
    gap_px: int = 0  # quantile of past open gaps, this bar's the newest; 0 where sizing does not ask
    ahead: int = 0  # ``Pause`` bits between the next bar's open and the open of the bar after it


class Sentiment(NamedTuple):
    """The newest sentiment known at a bar's end; ``known_ms`` < 0 means there is none."""

    score: float = 0.0
    known_ms: int = -1


class Indicators(NamedTuple):
    """Running values of the indicators after ``bars`` closed bars."""

    bars: int = 0
    close: float = 0.0
    gain: float = 0.0
    loss: float = 0.0
    atr: float = 0.0


class Breakers(NamedTuple):
    """Running values of the circuit breakers. ``*_reason`` style flags are 0 or 1."""

    day_open_minor: int
    day_start_ms: int  # start of the trading day the opening equity belongs to
    day_tripped: int
    peak_minor: int
    halted: int
    halted_ms: int
    losses: int
    cooldown_until_ms: int
    pause_until_ms: int


class Position(NamedTuple):
    """The open position; all zero when flat."""

    side: int = 0
    volume_cu: int = 0
    entry_px: int = 0
    sl_px: int = 0
    tp_px: int = 0
    sl_first_px: int = 0
    entry_ms: int = 0
    bars_held: int = 0
    swap_minor: int = 0
    commission_minor: int = 0  # opening commission, <= 0


class State(NamedTuple):
    """All that the decision carries from bar to bar; journaled, restored bit for bit."""

    indicators: Indicators
    breakers: Breakers


class Account(NamedTuple):
    """The account as of a decision."""

    balance_minor: int
    equity_minor: int
    position: Position


class Decision(NamedTuple):
    """What one closed bar asks for. Always carries a reason."""

    action: int
    reason: int
    side: int
    volume_cu: int
    sl_px: int  # ENTER: distance; AMEND: level
    tp_px: int  # ENTER: distance; AMEND: level
    bar_end_ms: int
    close_px: int
    signal: int  # side the entry rule asked for, also when refused
    risk_minor: int  # planned loss at the stop, costs included, rounded


class Verdict(NamedTuple):
    """What a mark did to the breakers: ``reason`` of the exit to make now, or NONE."""

    reason: int
    daily: int  # 1 when the daily-loss breaker tripped at this mark
    drawdown: int  # 1 when the drawdown breaker tripped at this mark


_NOT_ASKED = np.empty(0, np.int64)


class BarArrays(NamedTuple):
    """A bar series as arrays of int64, all of shape ``(n,)``, ordered by ``ts_ms``; prices are bids in px."""

    ts_ms: Int64Array  # first tick
    end_ms: Int64Array  # end of the bucket
    open_px: Int64Array
    high_px: Int64Array
    low_px: Int64Array
    close_px: Int64Array
    rate_e8: Int64Array  # quote-to-deposit rate known at the bar's first tick; shape (0,) means 1 throughout
    ahead: Int64Array = _NOT_ASKED  # ``Bar.ahead`` of each bar; shape (0,) where no profile asks


class RollArrays(NamedTuple):
    """Rolls of a raw series, int64 of shape ``(n,)``: first tick of the roll date, and new minus old price in px."""

    ts_ms: Int64Array
    gap_px: Int64Array


class SentimentArrays(NamedTuple):
    """Sentiment rows ordered by ``known_ms`` (ties: the later row wins), both of shape ``(n,)``."""

    known_ms: Int64Array
    score: Float64Array
