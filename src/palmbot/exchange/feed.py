"""Where the exchange's ticks come from: a file's bars, or the generated market. Both resume where they stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from palmbot.core.fills import spread_px
from palmbot.core.types import BarArrays, Instrument, RollArrays
from palmbot.errors import RefusedError
from palmbot.exchange.market import MarketState, SentimentRow, Tick, advance
from palmbot.instruments import InstrumentSpec
from palmbot.model import HistoryBar
from palmbot.units import RATE_ONE_E8

TICK_MS = 15_000  # between the four ticks of a bar, whatever its period (PARITY 13)
TICKS = 4

Rolls = Sequence[tuple[int, int]]  # (first tick of the roll date in ms, new minus old price in px), by time
NO_TICKS: tuple[Tick, ...] = ()


class FeedTick(NamedTuple):
    """One quote, and what the fills on it depend on."""

    ts_ms: int
    bid_px: int
    ask_px: int
    is_jump: bool  # the price did not pass through what lies between it and the tick before (PARITY 16)
    bar_open_px: int  # what costs in ppm refer to
    rate_e8: int

    def quote_px(self, side: int) -> int:
        """Return what an order of ``side`` meets; a position is worth what an order of the other side does."""
        return self.ask_px if side > 0 else self.bid_px


class Feed(Protocol):
    """A market that is asked for its next tick."""

    @property
    def history(self) -> Sequence[HistoryBar]:
        """Closed bars before the first tick, oldest first."""

    @property
    def rolls(self) -> Rolls:
        """Rolls of the contract that are charged to open positions."""

    @property
    def at_boundary(self) -> bool:
        """Whether the last tick ended a bar, or a minute of the generated market: a good moment to save."""

    def next_tick(self, side: int) -> FeedTick | None:
        """Return the next tick, given the side of the account's position now; None at the end."""

    def position_state(self) -> dict[str, Any]:
        """Return where the feed stands, after the last tick, as plain JSON."""


class FileFeed:
    """Four ticks a bar, the extreme that hurts the open position first (PARITY 12-14).

    Args:
        instrument: gives the spread of each bar.
        bars: the series.
        rolls: its rolls.
        stands: ``position_state`` of an earlier run over the same bars.

    Raises:
        RefusedError: ``stands`` belongs to other bars.
    """

    def __init__(
        self, instrument: Instrument, bars: BarArrays, rolls: RollArrays, stands: dict[str, Any] | None = None
    ) -> None:
        self.history: Sequence[HistoryBar] = ()
        self.rolls: Rolls = tuple(zip(rolls.ts_ms.tolist(), rolls.gap_px.tolist(), strict=True))
        self._instrument = instrument
        self._ts_ms: list[int] = bars.ts_ms.tolist()
        self._open_px: list[int] = bars.open_px.tolist()
        self._high_px: list[int] = bars.high_px.tolist()
        self._low_px: list[int] = bars.low_px.tolist()
        self._close_px: list[int] = bars.close_px.tolist()
        self._rate_e8: list[int] = bars.rate_e8.tolist() or [RATE_ONE_E8] * len(self._ts_ms)
        self._bar = 0
        self._tick = 0  # of the bar ``_bar``: the next to send
        self._high_first = False
        if stands is not None:
            self._resume(stands)
        self._spread_px = self._spread()

    @property
    def at_boundary(self) -> bool:
        """Whether the last tick was a bar's close."""
        return self._tick == 0

    def next_tick(self, side: int) -> FeedTick | None:
        """Return the next tick. ``side`` decides on a bar's second tick which extreme comes first."""
        index, tick = self._bar, self._tick
        if index == len(self._ts_ms):
            return None
        open_px = self._open_px[index]
        if tick == 0:
            bid_px = open_px
        elif tick == 1:
            self._high_first = side < 0
            bid_px = self._high_px[index] if self._high_first else self._low_px[index]
        elif tick == 2:
            bid_px = self._low_px[index] if self._high_first else self._high_px[index]
        else:
            bid_px = self._close_px[index]
        ts_ms = self._ts_ms[index] + tick * TICK_MS
        made = FeedTick(ts_ms, bid_px, bid_px + self._spread_px, tick == 0, open_px, self._rate_e8[index])
        self._tick = (tick + 1) % TICKS
        if self._tick == 0:
            self._bar += 1
            self._spread_px = self._spread()
        return made

    def position_state(self) -> dict[str, Any]:
        """Return the next bar and tick, and by ``ts_ms`` the bar of the last tick."""
        last = self._bar - (self._tick == 0)
        ts_ms = self._ts_ms[last] if last >= 0 else None
        return {"bar": self._bar, "tick": self._tick, "high_first": self._high_first, "ts_ms": ts_ms}

    def _spread(self) -> int:
        return int(spread_px(self._instrument, self._open_px[self._bar])) if self._bar < len(self._ts_ms) else 0

    def _resume(self, stands: dict[str, Any]) -> None:
        bar, tick, ts_ms = stands.get("bar"), stands.get("tick"), stands.get("ts_ms")
        last = bar - (tick == 0) if isinstance(bar, int) else len(self._ts_ms)
        if last >= len(self._ts_ms) or ts_ms != (self._ts_ms[last] if last >= 0 else None):
            raise RefusedError(
                "FEED_CHANGED",
                "Resume with the data file that the run began with, or start a new run.",
                bar=bar,
                expected_ms=ts_ms,
                bars=len(self._ts_ms),
            )
        self._bar, self._tick, self._high_first = int(stands["bar"]), int(stands["tick"]), bool(stands["high_first"])


class GeneratedFeed:
    """The generated market, SYNTHETIC throughout.

    Args:
        spec: the instrument.
        state: of the market, from ``market_arrays.history`` or ``state_of``.
        sent: how many ticks of the coming minute were sent before.
        history: closed bars before ``state``.
        publish: told each generated sentiment, just before the tick with which it is known.
    """

    def __init__(
        self,
        spec: InstrumentSpec,
        state: MarketState,
        sent: int = 0,
        history: Sequence[HistoryBar] = (),
        publish: Callable[[SentimentRow], None] | None = None,
    ) -> None:
        self.history = history
        self.rolls: Rolls = ()
        self._spec = spec
        self._state = state  # before the minute of ``_ticks``
        self._after = state  # after it
        self._ticks = NO_TICKS
        self._rows: tuple[SentimentRow, ...] = ()
        self._sent = sent
        self._publish = publish

    @staticmethod
    def state_of(stands: dict[str, Any]) -> tuple[MarketState, int]:
        """Return ``state`` and ``sent`` of a feed that goes on where ``position_state`` was taken."""
        return MarketState.of_body(stands["market"]), int(stands["sent"])

    @property
    def at_boundary(self) -> bool:
        """Whether the last tick was the last of its minute."""
        return self._sent == 0

    def next_tick(self, side: int) -> FeedTick:  # noqa: ARG002 - a market of its own has no side
        """Return the next tick; this market never ends."""
        if not self._ticks:
            self._after, self._ticks, self._rows = advance(self._state, self._spec)
        tick = self._ticks[self._sent]
        self._sent += 1
        if self._sent == len(self._ticks):
            if self._publish is not None:
                for row in self._rows:
                    self._publish(row)
            self._state, self._ticks, self._sent = self._after, NO_TICKS, 0
        return FeedTick(tick.ts_ms, tick.bid_px, tick.ask_px, tick.opens_gap, tick.bid_px, RATE_ONE_E8)

    def position_state(self) -> dict[str, Any]:
        """Return the market before the minute of the last tick, and how many of that minute's ticks were sent."""
        return {"market": self._state.body(), "sent": self._sent}
