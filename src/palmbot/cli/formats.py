"""How prices, money, times and spans of time read on the terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from palmbot.core.types import Side
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, PX, SECOND_MS, money_of_minor

PAPER = "paper"  # the mode in which nothing else needs to be said


def price(price_px: float, digits: int) -> str:
    """Return a price with the symbol's decimals."""
    return f"{price_px / PX:.{digits}f}"


def money(minor: int, money_digits: int, *, signed: bool = False) -> str:
    """Return money with thousands separators, with its sign also when positive if ``signed``."""
    value = money_of_minor(minor, money_digits)
    return f"{value:+,}" if signed else f"{value:,}"


def lots(volume_cu: int, lot_cu: int) -> str:
    """Return a volume in lots."""
    return f"{volume_cu / lot_cu:g} lot"


def side(number: int) -> str:
    """Return ``long`` or ``short``."""
    return Side(number).name.lower()


def moment(ts_ms: int, pattern: str = "%Y-%m-%d %H:%M") -> str:
    """Return an instant in UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime(pattern)


def span(length_ms: int) -> str:
    """Return a length of time in its two largest units, for instance ``2h 10m``."""
    units = (("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS))
    rest_ms = max(length_ms, 0)
    for place, (name, unit_ms) in enumerate(units):
        if rest_ms >= unit_ms:
            count, rest_ms = divmod(rest_ms, unit_ms)
            finer = units[place + 1 : place + 2]
            more = [f"{rest_ms // finer_ms}{finer_name}" for finer_name, finer_ms in finer if rest_ms >= finer_ms]
            return " ".join([f"{count}{name}", *more])
    return "0s"
