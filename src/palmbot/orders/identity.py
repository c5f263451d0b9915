"""Client order ids: who sent an order, for which bar and leg, readable without a journal.

``ab12.rs.PALMOI.h8k2z.E1.3`` is instance ab12, profile rs, symbol PALMOI, the bar that ended at minute h8k2z (base 36)
of the epoch, leg E (enter), first try, lease epoch 3. It is the order's label too, since positions carry only that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from palmbot.errors import InvariantError
from palmbot.units import MINUTE_MS

LENGTH_MAX = 30
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(
    r"(?P<instance>[a-z0-9]{4})\.(?P<profile>[a-z0-9]{1,4})\.(?P<symbol>[A-Za-z0-9]{1,6})\."
    r"(?P<bar>[0-9a-z]+)\.(?P<leg>[EXA])(?P<tries>[0-9]+)\.(?P<epoch>[0-9a-z]+)"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Which bot sends: its install's instance id, profile, symbol and lease epoch."""

    instance: str
    profile: str
    symbol: str
    epoch: int

    def owns(self, label: str) -> bool:
        """Return whether ``label`` was made by this install for this symbol, in any epoch and profile."""
        match = _SHAPE.fullmatch(label)
        return match is not None and match["instance"] == self.instance and match["symbol"] == _symbol(self.symbol)

    def rivals(self, label: str) -> bool:
        """Return whether ``label`` was made by another install for this symbol: two bots on one account."""
        match = _SHAPE.fullmatch(label)
        return match is not None and match["instance"] != self.instance and match["symbol"] == _symbol(self.symbol)

    def order_id(self, bar_end_ms: int, leg: str, tries: int) -> str:
        """Return the client order id of ``leg`` (E, X or A) for the bar that ended at ``bar_end_ms``."""
        words = re.findall(r"[A-Za-z0-9]+", self.profile)
        profile = "".join(word[0] for word in words)[:4].lower() or "x"
        bar = _base36(bar_end_ms // MINUTE_MS)
        made = f"{self.instance}.{profile}.{_symbol(self.symbol)}.{bar}.{leg}{tries}.{_base36(self.epoch)}"
        if len(made) > LENGTH_MAX or _SHAPE.fullmatch(made) is None:
            raise InvariantError("ORDER_ID", "Report this: a client order id is out of shape.", made=made)
        return made


def _symbol(symbol: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", symbol)[:6] or "x"


def _base36(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if number == 0:
            return text
