"""Exact integer rounding. Money is rounded half away from zero, distances half up to a step (PARITY 7 and 36)."""

from __future__ import annotations

from palmbot.core.compiled import compiled, inlined

_LIMIT = 4.0e18  # products below this are exact in int64


@inlined
def half_away(numerator: int, denominator: int) -> int:
    """Return ``numerator / denominator`` (> 0) rounded half away from zero."""
    if numerator >= 0:
        return (numerator + denominator // 2) // denominator
    return -((-numerator + denominator // 2) // denominator)


@compiled
def mul_divmod(a: int, b: int, d: int) -> tuple[int, int]:
    """Return quotient and remainder of ``a * b / d`` (all >= 0, d > 0) for any quotient below 2^63.

    Binary multiplication: a and what remains are doubled and reduced bit by bit of b, so nothing overflows.
    """
    if float(a) * float(b) < _LIMIT:
        return a * b // d, a * b % d
    quotient = 0
    remainder = 0
    bit = 62
    while bit >= 0 and (b >> bit) == 0:
        bit -= 1
    part = a // d
    rest = a % d
    while bit >= 0:
        quotient *= 2
        remainder *= 2
        if remainder >= d:
            remainder -= d
            quotient += 1
        if (b >> bit) & 1:
            quotient += part
            remainder += rest
            if remainder >= d:
                remainder -= d
                quotient += 1
        bit -= 1
    return quotient, remainder


@compiled
def mul_div_floor(a: int, b: int, denominator: int) -> int:
    """Return ``a * b / denominator`` (a, b >= 0, 0 < denominator < 2^61) rounded down, without overflow."""
    return mul_divmod(a, b, denominator)[0]


@compiled
def mul_div_half_away(a: int, b: int, denominator: int) -> int:
    """Return ``a * b / denominator`` (0 < denominator < 2^61) rounded half away from zero, without overflow."""
    if abs(float(a) * float(b)) < _LIMIT:
        return half_away(a * b, denominator)
    quotient, remainder = mul_divmod(abs(a), abs(b), denominator)
    if 2 * remainder >= denominator:
        quotient += 1
    return quotient if (a > 0) == (b > 0) else -quotient


@compiled
def to_step_half_up(numerator: int, denominator: int, step_px: int) -> int:
    """Return ``numerator / denominator`` (>= 0) rounded half up to a multiple of ``step_px``."""
    unit = denominator * step_px
    return (2 * numerator + unit) // (2 * unit) * step_px
