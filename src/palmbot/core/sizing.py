"""Risk per trade to volume: a fixed fraction of equity over what one step would lose at the stop (PARITY 36-40)."""

from __future__ import annotations

import math

from palmbot.core.compiled import compiled, inlined
from palmbot.core.fills import commission_estimate
from palmbot.core.rounding import to_step_half_up
from palmbot.core.types import Instrument, Params, Reason, StopKind

_ATR = int(StopKind.ATR)
_PPM = 1_000_000
_ROUNDING_SLACK = 1e-9  # so that an exact quotient is not floored one step down
_NONE = int(Reason.NONE)
_STOP_TOO_CLOSE = int(Reason.STOP_TOO_CLOSE)
_TARGET_TOO_CLOSE = int(Reason.TARGET_TOO_CLOSE)
_BELOW_MINIMUM = int(Reason.VOLUME_BELOW_MINIMUM)
_NO_RATE = int(Reason.NO_CONVERSION_RATE)


@inlined
def distance_px(stop_kind: int, ppm: int, multiple: float, close_px: int, atr: float, step_px: int) -> int:
    """Return a stop, target or trail distance in px: half up to the step, at least one step.

    Args:
        stop_kind: PERCENT takes ``ppm`` of ``close_px``; ATR takes ``multiple`` times ``atr`` (price units).
    """
    if stop_kind == _ATR:
        distance = math.floor(atr * multiple * 1e5 / step_px + 0.5) * step_px
    else:
        distance = to_step_half_up(close_px * ppm, _PPM, step_px)
    return max(distance, step_px)


@compiled
def too_close(instrument: Instrument, sl_px: int, tp_px: int, spread: int, slippage: int) -> int:
    """Return why a distance cannot be used: it would be hit by the costs alone, or the broker forbids it."""
    if sl_px <= spread + slippage + instrument.sl_min_px:
        return _STOP_TOO_CLOSE
    if tp_px <= spread + slippage + instrument.tp_min_px:
        return _TARGET_TOO_CLOSE
    return _NONE


@compiled
def _minor_per_step(instrument: Instrument, distance: float, rate_e8: int) -> float:
    scale = 10.0 ** (instrument.money_digits - 7)
    return distance * instrument.volume_step_cu * (rate_e8 / 1e8) * scale


@compiled
def loss_of_step(instrument: Instrument, sl_px: int, slippage: int, close_px: int, rate_e8: int) -> float:
    """Return what one volume step loses at the stop, in minor units: distance, slippage and both commissions."""
    commission = commission_estimate(instrument, close_px, instrument.volume_step_cu, rate_e8)
    return _minor_per_step(instrument, float(sl_px + slippage), rate_e8) + 2.0 * commission


@compiled
def volume_cu(
    params: Params, instrument: Instrument, equity_minor: int, loss: float, close_px: int, rate_e8: int
) -> tuple[int, int]:
    """Return ``(volume_cu, reason)``; volume 0 with a reason when the entry must be refused.

    Args:
        loss: ``loss_of_step`` of this entry, minor units.
    """
    if rate_e8 <= 0:
        return 0, _NO_RATE
    equity = float(equity_minor)
    notional = _minor_per_step(instrument, float(close_px), rate_e8)
    steps = equity * params.risk_fraction / loss
    steps = min(steps, equity * params.exposure_max / notional)
    steps = min(steps, equity * params.margin_share * instrument.leverage / notional)
    steps = min(steps, float(instrument.volume_max_cu // instrument.volume_step_cu))
    volume = math.floor(steps + _ROUNDING_SLACK) * instrument.volume_step_cu
    if volume < instrument.volume_min_cu or volume <= 0:
        return 0, _BELOW_MINIMUM
    return volume, _NONE
