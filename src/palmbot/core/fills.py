"""How an order meets a tick, and what it costs: exact integers only (PARITY 1-19, 36-38, 46-47).

Longs enter at the ask and are marked, stopped and closed at the bid; shorts the other way round. File prices are bids.
Slippage is against us on market orders and stop fills, never on targets. Charges are <= 0, so money is only ever added.
"""

from __future__ import annotations

from palmbot.core.compiled import compiled, inlined
from palmbot.core.rounding import half_away, mul_div_floor, mul_div_half_away, mul_divmod, to_step_half_up
from palmbot.core.types import CommissionKind, CostKind, Instrument, Position, Reason, SwapKind
from palmbot.units import DAY_MS, RATE_ONE_E8

NEVER_MS = 1 << 62
_PPM = 1_000_000
_CENTS_SCALE = 100_000  # 10^(7 - 2): a constant divisor is several times faster than a variable one
_POINTS = int(CostKind.POINTS)
_PER_LOT_DEPOSIT = int(CommissionKind.PER_LOT_DEPOSIT)
_PER_LOT_QUOTE = int(CommissionKind.PER_LOT_QUOTE)
_SWAP_PRICE = int(SwapKind.PRICE)
_SL = int(Reason.SL)
_TP = int(Reason.TP)
_TRAIL = int(Reason.TRAIL)
_NONE = int(Reason.NONE)


@inlined
def cost_px(kind: int, value: int, reference_px: int, step_px: int) -> int:
    """Return a spread or slippage in px: ``value`` itself, or ppm of ``reference_px`` rounded to the step."""
    if kind == _POINTS:
        return value
    return to_step_half_up(reference_px * value, _PPM, step_px)


@inlined
def spread_px(instrument: Instrument, open_px: int) -> int:
    """Return the spread of the bar that opened at ``open_px``."""
    return cost_px(instrument.spread_kind, instrument.spread, open_px, instrument.step_px)


@inlined
def slippage_px(instrument: Instrument, open_px: int) -> int:
    """Return the slippage of the bar that opened at ``open_px``."""
    return cost_px(instrument.slippage_kind, instrument.slippage, open_px, instrument.step_px)


@compiled
def money_minor(px_cu: int, rate_e8: int, money_digits: int) -> int:
    """Return ``px x cu`` of quote currency as minor units of the deposit currency, half away from zero."""
    if rate_e8 == RATE_ONE_E8:
        if money_digits == 2:
            return half_away(px_cu, _CENTS_SCALE)
        if money_digits > 7:
            return px_cu * int(10 ** (money_digits - 7))
        return half_away(px_cu, 10 ** (7 - money_digits))
    return mul_div_half_away(px_cu, rate_e8, 10 ** (15 - money_digits))


@compiled
def gross_minor(instrument: Instrument, side: int, entry_px: int, exit_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return the profit of ``volume_cu`` from ``entry_px`` to ``exit_px`` before charges."""
    return money_minor(side * (exit_px - entry_px) * volume_cu, rate_e8, instrument.money_digits)


@compiled
def _converted(a: int, b: int, divisor: int, rate_e8: int, money_digits: int) -> int:
    """Return ``a x b / divisor x rate / 10^8`` as money (``a``, ``b`` >= 0) half up, exact and without overflow.

    By the divisor first, its remainder kept, since a floor of a floor is the floor; doubled, to round by plus a half.
    """
    scale, unit = 10**money_digits, 10**8
    if rate_e8 != RATE_ONE_E8:  # else smaller numbers do, and those are multiplied at once
        scale, unit = rate_e8 * scale, 10**16
    whole, rest = mul_divmod(2 * a, b, divisor)
    part = mul_div_floor(rest, scale, divisor)
    twice, left = mul_divmod(whole, scale, unit)
    return (twice + (left + part) // unit + 1) // 2


@compiled
def commission_minor(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return the commission of one side, <= 0 (scales: protocol sheet 5.5)."""
    rate = instrument.commission_rate
    if rate == 0:
        return 0
    kind = instrument.commission_kind
    digits = instrument.money_digits
    if kind == _PER_LOT_DEPOSIT:
        charge = _converted(rate, volume_cu, instrument.lot_cu, RATE_ONE_E8, digits)
    elif kind == _PER_LOT_QUOTE:
        charge = _converted(rate, volume_cu, instrument.lot_cu, rate_e8, digits)
    else:  # units x price x rate / 10^5 percent
        charge = _converted(price_px * volume_cu, rate, 1_000_000, rate_e8, digits)
    return -max(charge, instrument.commission_min_minor)


@compiled
def commission_estimate(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> float:
    """Return the commission of one side in minor units as a float >= 0, unrounded (for sizing, PARITY 39)."""
    rate = float(instrument.commission_rate)
    scale = 10.0**instrument.money_digits
    kind = instrument.commission_kind
    if kind == _PER_LOT_DEPOSIT:
        return rate / 1e8 * volume_cu / instrument.lot_cu * scale
    if kind == _PER_LOT_QUOTE:
        return rate / 1e8 * volume_cu / instrument.lot_cu * scale * (rate_e8 / 1e8)
    return price_px / 1e5 * volume_cu / 100.0 * (rate / 1e7) * (rate_e8 / 1e8) * scale


@compiled
def fee_minor(instrument: Instrument, gross: int) -> int:
    """Return the conversion fee on a closing deal's gross profit, <= 0."""
    if instrument.conversion_fee_bp == 0:
        return 0
    return -half_away(abs(gross) * instrument.conversion_fee_bp, 10_000)


@compiled
def margin_minor(instrument: Instrument, price_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return the margin that a position of ``volume_cu`` opened at ``price_px`` holds."""
    return half_away(money_minor(price_px * volume_cu, rate_e8, instrument.money_digits), instrument.leverage)


@compiled
def swap_multiple(instrument: Instrument, instant_ms: int) -> int:
    """Return how many charges fall due at ``instant_ms``: none at weekends, three on the triple day."""
    weekday = (instant_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    if weekday >= 5:
        return 0
    return 3 if weekday == instrument.swap_triple_weekday else 1


@compiled
def swap_minor(instrument: Instrument, side: int, bid_px: int, volume_cu: int, rate_e8: int, instant_ms: int) -> int:
    """Return the swap charged at ``instant_ms`` on the last bid, signed."""
    rate = instrument.swap_long if side > 0 else instrument.swap_short
    rate *= swap_multiple(instrument, instant_ms)
    if rate == 0:
        return 0
    digits = instrument.money_digits
    if instrument.swap_kind == _SWAP_PRICE:
        charge = _converted(abs(rate), volume_cu, 10_000, rate_e8, digits)
    else:
        charge = _converted(bid_px * volume_cu, abs(rate), 360_000_000, rate_e8, digits)
    return charge if rate > 0 else -charge


@compiled
def first_swap_ms(instrument: Instrument, after_ms: int) -> int:
    """Return the first swap instant later than ``after_ms``; NEVER_MS where no swap is charged."""
    if instrument.swap_long == 0 and instrument.swap_short == 0:
        return NEVER_MS
    period = instrument.swap_period_ms
    return (after_ms - instrument.swap_time_ms) // period * period + instrument.swap_time_ms + period


@compiled
def roll_minor(instrument: Instrument, side: int, gap_px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what a roll adds to a position's swap, so that the jump between contracts is nobody's profit."""
    return money_minor(-side * gap_px * volume_cu, rate_e8, instrument.money_digits)


@inlined
def mark_px(side: int, bid_px: int, spread: int) -> int:
    """Return the price at which a position of ``side`` could be closed."""
    return bid_px if side > 0 else bid_px + spread


@compiled
def market_px(side: int, bid_px: int, spread: int, slippage: int) -> int:
    """Return the fill price of a market order of ``side`` (of the order, not of the position it closes)."""
    if side > 0:
        return bid_px + spread + slippage
    return bid_px - slippage


@compiled
def protective_fill(position: Position, bid_px: int, spread: int, slippage: int, is_jump: bool) -> tuple[int, int]:
    """Return ``(reason, price_px)`` of the protective order on one tick; reason NONE when it is not touched.

    A jump (the first tick of a bar) fills a passed level at the tick; any other tick passes through every price, so
    the level itself fills. The stop is tested before the target (PARITY 16-18).
    """
    side = position.side
    mark = mark_px(side, bid_px, spread)
    if (mark - position.sl_px) * side <= 0:
        level = mark if is_jump else position.sl_px
        reason = _SL if position.sl_px == position.sl_first_px else _TRAIL
        return reason, level - side * slippage
    if (mark - position.tp_px) * side >= 0:
        return _TP, mark if is_jump else position.tp_px
    return _NONE, 0


@compiled
def floating_minor(instrument: Instrument, position: Position, bid_px: int, spread: int, rate_e8: int) -> int:
    """Return what an open position adds to the balance to give equity (PARITY 11); 0 when flat."""
    if position.side == 0:
        return 0
    mark = mark_px(position.side, bid_px, spread)
    gross = gross_minor(instrument, position.side, position.entry_px, mark, position.volume_cu, rate_e8)
    return gross + position.swap_minor + position.commission_minor
