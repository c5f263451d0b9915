"""The view of a running bot where there is no terminal: one plain line for each trade, breaker and closed market."""

from __future__ import annotations

from typing import TextIO

from palmbot.cli.formats import PAPER, lots, moment, money, price, side, span
from palmbot.cli.reasons import describe
from palmbot.core.types import Reason
from palmbot.model import BotView, BreakerView, Trade
from palmbot.settings import Settings


class Lines:
    """Writes what is new in each view it is given to ``out``."""

    def __init__(self, settings: Settings, out: TextIO) -> None:
        self._currency = settings.instrument.deposit_currency
        self._out = out
        self._trades_count: int | None = None
        self._breakers: dict[int, BreakerView] = {}
        self._opens_ms = 0

    def show(self, view: BotView) -> None:
        """Write the trades and breakers that are new since the last view."""
        if self._trades_count is None:  # a resumed run starts with trades that were written when they closed
            self._trades_count = view.trades_count
        new = view.trades_count - self._trades_count
        self._trades_count = view.trades_count
        if new > len(view.trades):
            self._write(view.clock_ms, f"{new - len(view.trades)} earlier trades are not shown here", view)
        for trade in reversed(view.trades[:new]):
            self._write(trade.exit_ms, self._trade(trade, view), view)
        self._write_breakers(view)
        if view.opens_ms != self._opens_ms:
            self._opens_ms = view.opens_ms
            told = f"market closed, opens {moment(view.opens_ms)}Z" if view.opens_ms else "market open"
            self._write(view.clock_ms, told, view)

    def _write_breakers(self, view: BotView) -> None:
        now = {tripped.reason: tripped for tripped in view.breakers}
        for reason, tripped in now.items():
            if self._breakers.get(reason) != tripped:
                left = f"for {span(tripped.until_ms - view.clock_ms)}" if tripped.until_ms else "until re-armed"
                self._write(view.clock_ms, f"breaker {Reason(reason).name} {left}: {describe(reason)}", view)
        for reason in self._breakers:
            if reason not in now:
                self._write(view.clock_ms, f"breaker {Reason(reason).name} released", view)
        self._breakers = now

    def _trade(self, trade: Trade, view: BotView) -> str:
        volume, digits = lots(trade.volume_cu, view.lot_cu), view.digits
        path = f"{price(trade.entry_px, digits)} -> {price(trade.exit_px, digits)}"
        result = f"{money(trade.pnl_minor, view.money_digits, signed=True)} {view.currency or self._currency}"
        return f"trade {side(trade.side)} {volume} {path} {result}: {describe(trade.exit_reason)}"

    def _write(self, ts_ms: int, text: str, view: BotView) -> None:
        label = "SYNTHETIC " if view.synthetic else ""
        label += f"{view.mode} " if view.mode != PAPER else ""
        self._out.write(f"{moment(ts_ms)}Z {label}{text}\n")
        self._out.flush()
