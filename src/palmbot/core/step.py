"""The four entry points of the decision core (PARITY 25). ``replay`` and the bot call exactly these.

============  ==================================================================================================
``on_time``   a trading day began
``on_mark``   the position can be closed at a new price: test the loss limits
``on_close``  a trade ended: count it, test the loss limits against the balance
``step``      a bar ended: update indicators and breakers, make the bar's one decision
============  ==================================================================================================
"""

from __future__ import annotations

from palmbot.core import breakers, indicators, signals, sizing
from palmbot.core.compiled import inlined
from palmbot.core.fills import mark_px, slippage_px
from palmbot.core.types import (
    Account,
    Action,
    Bar,
    Breakers,
    Decision,
    Indicators,
    Instrument,
    Params,
    Position,
    Reason,
    Sentiment,
    State,
    StopKind,
    Verdict,
)
from palmbot.units import DAY_MS

_NONE = int(Action.NONE)
_ENTER = int(Action.ENTER)
_AMEND = int(Action.AMEND)
_EXIT = int(Action.EXIT)
_OK = int(Reason.NONE)
_WARMING_UP = int(Reason.WARMING_UP)
_HOLDING = int(Reason.HOLDING)
_TRAIL = int(Reason.TRAIL)
_TIME = int(Reason.TIME)
_SIGNAL = int(Reason.SIGNAL)
_FLAT = int(Reason.FLAT)
_PAUSE_AHEAD = int(Reason.PAUSE_AHEAD)
_ATR = int(StopKind.ATR)
ENTRY = int(Reason.ENTRY_LONG)  # the reasons of an entry begin here


@inlined
def day_start(instrument: Instrument, instant_ms: int) -> int:
    """Return the start of the trading day that holds ``instant_ms``."""
    return (instant_ms - instrument.day_start_ms) // DAY_MS * DAY_MS + instrument.day_start_ms


@inlined
def initial(instrument: Instrument, balance_minor: int, now_ms: int) -> State:
    """Return the state of a fresh account whose first tick is at ``now_ms``."""
    empty = Indicators(0, 0.0, 0.0, 0.0, 0.0)
    return State(empty, breakers.armed(balance_minor, day_start(instrument, now_ms)))


@inlined
def on_time(guards: Breakers, equity_minor: int, day_start_ms: int) -> Breakers:
    """Open the trading day that starts at ``day_start_ms`` with the equity of the last mark before it."""
    return breakers.new_day(guards, equity_minor, day_start_ms)


@inlined
def on_mark(params: Params, guards: Breakers, equity_minor: int, now_ms: int) -> tuple[Breakers, Verdict]:
    """Test the loss limits at a mark; the verdict's reason, unless NONE, says to flatten now."""
    return breakers.mark(params, guards, equity_minor, now_ms)


@inlined
def on_close(
    params: Params, guards: Breakers, net_minor: int, balance_minor: int, bar_end_ms: int, now_ms: int
) -> tuple[Breakers, Verdict]:
    """Count a closed trade and test the loss limits against the balance after it."""
    after, verdict = breakers.mark(params, guards, balance_minor, now_ms)
    return breakers.trade_closed(params, after, net_minor, bar_end_ms), verdict


@inlined
def _hold(reason: int, bar: Bar, signal: int) -> Decision:
    return Decision(_NONE, reason, 0, 0, 0, 0, bar.end_ms, bar.close_px, signal, 0)


@inlined
def _leaves(params: Params, running: Indicators, side: int, bars_held: int) -> int:
    """Return the reason to leave the position at the next open, or NONE."""
    if params.max_bars > 0 and bars_held >= params.max_bars:
        return _TIME
    if signals.wants_exit(params, running, side):
        return _SIGNAL
    return _OK


@inlined
def _trail_px(
    params: Params, instrument: Instrument, running: Indicators, close_px: int, spread_px: int, side: int
) -> int:
    """Return the stop level that the trail asks for at this bar close; 0 where the profile does not trail."""
    if (params.trail_atr if params.stop_kind == _ATR else float(params.trail_ppm)) <= 0.0:
        return 0
    ppm, multiple, step = params.trail_ppm, params.trail_atr, instrument.step_px
    distance = sizing.distance_px(params.stop_kind, ppm, multiple, close_px, running.atr, step)
    return mark_px(side, close_px, spread_px) - side * distance


@inlined
def _manage(params: Params, instrument: Instrument, running: Indicators, bar: Bar, position: Position) -> Decision:
    """Decide about an open position: time exit, signal exit, trailing stop, or hold."""
    side = position.side
    reason = _leaves(params, running, side, position.bars_held)
    if reason == _OK and params.flat_before & bar.ahead != 0:
        reason = _FLAT
    if reason != _OK:
        return Decision(_EXIT, reason, side, position.volume_cu, 0, 0, bar.end_ms, bar.close_px, 0, 0)
    level = _trail_px(params, instrument, running, bar.close_px, bar.spread_px, side)
    if level != 0 and (level - position.sl_px) * side > 0:
        return Decision(_AMEND, _TRAIL, side, 0, level, position.tp_px, bar.end_ms, bar.close_px, 0, 0)
    return _hold(_HOLDING, bar, 0)


@inlined
def wanted(
    params: Params, guards: Breakers, running: Indicators, sentiment: Sentiment, bar_end_ms: int
) -> tuple[int, int]:
    """Return ``(side, reason)`` of a flat account: an entry (reason >= ENTRY), or why the signal comes to nothing."""
    side, reason = signals.entry(params, running, sentiment, bar_end_ms)
    if reason < ENTRY:  # no signal, or one that sentiment vetoes
        return side, reason
    block = breakers.blocked(guards, bar_end_ms)
    if block != _OK:
        return side, block
    return side, reason


@inlined
def acts(
    params: Params, instrument: Instrument, running: Indicators, position: Position, close: tuple[int, int], held: int
) -> bool:
    """Return whether ``step`` would exit or amend after a bar with ``close`` = (price, spread), held ``held`` bars."""
    if _leaves(params, running, position.side, held) != _OK:
        return True
    level = _trail_px(params, instrument, running, close[0], close[1], position.side)
    return level != 0 and (level - position.sl_px) * position.side > 0


@inlined
def _enter(
    params: Params, instrument: Instrument, atr: float, bar: Bar, equity_minor: int, entry: tuple[int, int]
) -> Decision:
    """Turn a signal ``entry = (side, reason)`` into an entry with distances and volume, or into its refusal."""
    side, reason = entry
    step = instrument.step_px
    sl_px = sizing.distance_px(params.stop_kind, params.sl_ppm, params.sl_atr, bar.close_px, atr, step)
    tp_px = sizing.distance_px(params.stop_kind, params.tp_ppm, params.tp_atr, bar.close_px, atr, step)
    slippage = slippage_px(instrument, bar.open_px)
    refusal = sizing.too_close(instrument, sl_px, tp_px, bar.spread_px, slippage)
    if refusal != _OK:
        return _hold(refusal, bar, side)
    at_risk_px = max(sl_px, bar.gap_px)  # a stop does not bound the loss across a gap
    loss = sizing.loss_of_step(instrument, at_risk_px, slippage, bar.close_px, bar.rate_e8)
    volume, refusal = sizing.volume_cu(params, instrument, equity_minor, loss, bar.close_px, bar.rate_e8)
    if refusal != _OK:
        return _hold(refusal, bar, side)
    risk = round(loss * (volume // instrument.volume_step_cu))
    return Decision(_ENTER, reason, side, volume, sl_px, tp_px, bar.end_ms, bar.close_px, side, risk)


@inlined
def step(
    params: Params, instrument: Instrument, state: State, bar: Bar, account: Account, sentiment: Sentiment
) -> tuple[State, Decision]:
    """Close ``bar``: return the state after it and its one decision.

    Args:
        account: as of the bar's end: balance, equity at the last mark, and the position with ``bars_held`` counting
            this bar.
        sentiment: the newest that was known at the bar's end.
    """
    periods = indicators.periods_of(params)
    running = indicators.update(state.indicators, bar.high_px, bar.low_px, bar.close_px, periods)
    guards = breakers.bar_closed(
        params, state.breakers, account.equity_minor, bar.close_px, bar.past_close_px, bar.end_ms
    )
    after = State(running, guards)
    if running.bars < params.warmup_bars:
        return after, _hold(_WARMING_UP, bar, 0)
    if account.position.side != 0:
        return after, _manage(params, instrument, running, bar, account.position)
    side, reason = wanted(params, guards, running, sentiment, bar.end_ms)
    if reason >= ENTRY and params.flat_before & bar.ahead != 0:
        reason = _PAUSE_AHEAD
    if reason < ENTRY:
        return after, _hold(reason, bar, side)
    return after, _enter(params, instrument, running.atr, bar, account.equity_minor, (side, reason))
