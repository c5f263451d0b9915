"""The backtest of the bars that a bot saw, by the rules and with the money that it had at each time.

A replay knows one set of rules and no deposits. So the bars are replayed once for each stretch between two changes:
a stretch begins where the change came, or, where the backtest was in a trade then, with the end of that trade. Its
indicators have seen all bars before; its balance is the one before and what was paid in. Its breakers begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from palmbot.core.types import BarArrays, Int64Array, Position, RollArrays, SentimentArrays
from palmbot.errors import RefusedError
from palmbot.instruments import InstrumentSpec
from palmbot.model import BrokerPosition, Refusal, Trade
from palmbot.research.backtest import refusals_of, replayed, trades_of
from palmbot.research.lived import OPEN_MS, Change, Lived, held_trade
from palmbot.research.result import DataSet


@dataclass(frozen=True, slots=True)
class Retest:
    """What the backtest did. ``held``: what it is in at the end of the bars, as a trade without an end."""

    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    held: Trade | None


def decided_ms(ends: Int64Array, ts_ms: int) -> int:
    """Return the end of the last bar that had closed at ``ts_ms``."""
    return int(ends[max(int(np.searchsorted(ends, ts_ms, side="right")) - 1, 0)])


def retested(lived: Lived, spec: InstrumentSpec) -> Retest:
    """Trade the bars of the journal again; those of its history are history here too.

    Raises:
        RefusedError: the backtest's account would have been stopped out.
    """
    data, ends = _series(lived, spec), lived.ends_ms
    history = next((place for place, body in enumerate(lived.bars) if body["live"]), len(lived.bars))
    since_ms = int(ends[history - 1]) if history > 0 else 0
    balance_minor, trades, refusals = 0, list[Trade](), list[Refusal]()
    held: Trade | None = None
    for place, change in enumerate(lived.changes):
        balance_minor += change.cash_minor
        stretch = _stretch(data, change, balance_minor, int(np.searchsorted(ends, since_ms, side="right")) + 1)
        taken = [each for each in _all(stretch) if decided_ms(ends, each.entry_ms) > since_ms]
        until_ms = OPEN_MS
        if place + 1 < len(lived.changes):
            next_ms = max(lived.changes[place + 1].ts_ms, since_ms)
            before = [each for each in taken if decided_ms(ends, each.entry_ms) <= next_ms]
            until_ms = max(next_ms, before[-1].exit_ms if before else 0)
            taken = before
        if since_ms < stretch.stopped_out_ms <= until_ms:
            todo = "Nothing to compare with: in the backtest the broker would have closed the position for its margin."
            raise RefusedError("STOPPED_OUT", todo, ts_ms=stretch.stopped_out_ms)
        trades += [each for each in taken if each.exit_ms < OPEN_MS]
        refusals += [each for each in stretch.refusals if since_ms < each.bar_end_ms <= until_ms]
        balance_minor += sum(each.pnl_minor for each in taken)
        held = next((each for each in taken if each.exit_ms >= OPEN_MS), None)
        if held is not None:
            break
        since_ms = until_ms
    return Retest(tuple(trades), tuple(refusals), held)


@dataclass(frozen=True, slots=True)
class _Stretch(Retest):
    stopped_out_ms: int  # 0 = never; what follows is fiction


def _all(stretch: Retest) -> tuple[Trade, ...]:
    return stretch.trades if stretch.held is None else (*stretch.trades, stretch.held)


def _stretch(data: DataSet, change: Change, balance_minor: int, warmup_bars: int) -> _Stretch:
    """Replay all bars by one set of rules, without a decision before ``warmup_bars`` of them have closed."""
    params = change.params._replace(warmup_bars=max(change.params.warmup_bars, warmup_bars))
    data = replace(data, spec=replace(data.spec, core=change.instrument))
    outcome, tape = replayed(data, params, balance_minor)
    held = None if outcome.position.side == 0 else held_trade(_position(data.spec.symbol, outcome.position))
    return _Stretch(trades_of(tape), refusals_of(tape), held, outcome.stopped_out_ms)


def _position(symbol: str, held: Position) -> BrokerPosition:
    return BrokerPosition(
        position_id=0,
        symbol=symbol,
        side=int(held.side),
        volume_cu=int(held.volume_cu),
        entry_px=int(held.entry_px),
        sl_px=int(held.sl_px),
        tp_px=int(held.tp_px),
        swap_minor=int(held.swap_minor),
        commission_minor=int(held.commission_minor),
        used_margin_minor=0,
        label="",
        open_ms=int(held.entry_ms),
    )


def _series(lived: Lived, spec: InstrumentSpec) -> DataSet:
    columns = {name: _column(lived.bars, name) for name in BarArrays._fields if name in lived.bars[0]}
    none = np.zeros(0, np.int64)
    known: dict[int, float] = {}
    for body in lived.bars:
        if body["sentiment"] is not None:
            known[int(body["sentiment_known_ms"])] = float(body["sentiment"])
    sentiment = SentimentArrays(np.array(sorted(known), np.int64), np.array([known[each] for each in sorted(known)]))
    return DataSet(
        name="journal",
        spec=spec,
        period_ms=lived.period_ms,
        adjustment="none",
        bars=BarArrays(**{name: columns.get(name, none) for name in BarArrays._fields}),
        rolls=RollArrays(none, none),
        sentiment=sentiment,
        rows_read=len(lived.bars),
        rows_outside_session=0,
        notes=(),
        fingerprint="",
        synthetic=lived.is_synthetic,
    )


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Int64Array:
    return np.array([row[name] for row in rows], np.int64)
