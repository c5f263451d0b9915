"""The bare job in NautilusTrader: a bracket of a market order, a stop and a limit, sent at the close of a bar.

Its market order fills at that close rather than at the next open: where the two differ, trades may too.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
INSTRUMENT = TestInstrumentProvider.default_fx_ccy("EUR/USD", VENUE)  # prices of five digits, no commission
TYPE = BarType.from_str(f"{INSTRUMENT.id}-1-MINUTE-LAST-EXTERNAL")


class Bare(Strategy):  # type: ignore[misc] # the peer has no types
    """One position at a time."""

    def __init__(self, combination: Sequence[float], values: Sequence[float]) -> None:
        super().__init__()
        self.combination, self.values, self.bar = combination, values, -1

    def on_start(self) -> None:
        """Ask for bars."""
        self.subscribe_bars(TYPE)

    def on_bar(self, bar: Bar) -> None:
        """Enter by the close of a bar."""
        self.bar += 1
        low, high, target, stop = self.combination
        value, close = self.values[self.bar], float(bar.close)
        side = (value < low) - (value > high)
        if side != 0 and self.portfolio.is_flat(INSTRUMENT.id):
            bracket = self.order_factory.bracket(
                instrument_id=INSTRUMENT.id,
                order_side=OrderSide.BUY if side == 1 else OrderSide.SELL,
                quantity=Quantity.from_int(1_000),
                sl_trigger_price=INSTRUMENT.make_price(close * (1 - side * stop)),
                tp_price=INSTRUMENT.make_price(close * (1 + side * target)),
            )
            self.submit_order_list(bracket)


def run(prices: Any, rsi: Any, combinations: Sequence[Sequence[float]]) -> list[int]:  # noqa: ANN401 - NumPy's, untyped
    """Return how many trades each combination closes."""
    frame = pd.DataFrame(prices.T, columns=["open", "high", "low", "close"])
    frame.index = pd.date_range("2024-01-01", periods=len(frame), freq="min", tz="UTC")
    bars, values, found = BarDataWrangler(TYPE, INSTRUMENT).process(frame), rsi.tolist(), []
    for combination in combinations:
        engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
        money = [Money(10**9, USD)]
        engine.add_venue(VENUE, OmsType.NETTING, AccountType.MARGIN, money, default_leverage=Decimal(100))
        engine.add_instrument(INSTRUMENT)
        engine.add_data(bars)
        engine.add_strategy(Bare(combination, values))
        engine.run()
        positions = engine.trader.generate_positions_report()
        found.append(int(positions["ts_closed"].notna().sum()) if len(positions) > 0 else 0)
        engine.dispose()
    return found
