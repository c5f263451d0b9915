"""What a bot traded beside the backtest of the bars that it saw, with a name for each difference.

The journal tells every bar that the bot closed, the sentiment that it knew, its decisions and its trades. The same
compiled code trades the same bars again, with the costs of the configuration. Where all agree, nothing was in the way.
Else each difference has one name:

============  ===========================================================================================
spread        the real spread was not the configured one
slippage      a fill was worse or better than the quote by more than configured
latency       the fill came later than the first tick of its bar
missed bar    the bot was not there when the bar closed
breaker       a breaker that only one of both had tripped stopped an entry
reject        the broker, the link or the account's money said no
data          the tick path inside a bar, a late quote or another feed decided otherwise
follows       a consequence of an earlier difference: the account was not in the same position, or not as large
============  ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmbot.core.fills import spread_px
from palmbot.core.types import BarArrays, Instrument, Int64Array, Params, Reason, RollArrays, SentimentArrays, Side
from palmbot.instruments import InstrumentSpec
from palmbot.model import Refusal, Trade
from palmbot.research import backtest
from palmbot.research.result import DataSet, RunResult

LATE_MS = 1_000  # after the first tick of a bar a fill is late
LIVE_ONLY = frozenset({Reason.STALE_FEED, Reason.WIDE_SPREAD, Reason.REJECT_STREAK, Reason.HALT_MANUAL})
SAID_NO = frozenset(
    {
        Reason.BROKER_REJECTED,
        Reason.NOT_ENOUGH_MONEY,
        Reason.MARKET_CLOSED,
        Reason.OUTCOME_UNKNOWN,
        Reason.LINK_LOST,
        Reason.DECISION_EXPIRED,
    }
)
_LAST_BREAKER = Reason.OPEN_GAP


@dataclass(frozen=True, slots=True)
class Lived:
    """What a journal tells of one bot: ``bars`` are the bodies of its ``bar_closed`` records, in order."""

    bars: Sequence[Mapping[str, Any]]
    trades: tuple[Trade, ...]
    refusals: tuple[Refusal, ...]
    profile: str
    params: Params
    instrument: Instrument
    period_ms: int
    balance_minor: int
    is_synthetic: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. ``pnl_minor``: what it moved the result of the bot by, where that can be told."""

    kind: str
    bar_end_ms: int  # of the bar that decided
    side: int
    detail: str
    pnl_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of ``from_ms`` to ``to_ms``. ``equal`` trades agree in everything but their exact instant."""

    from_ms: int
    to_ms: int
    bars: int
    missed_bars: int
    lived: tuple[Trade, ...]
    tested: tuple[Trade, ...]
    equal: int
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of ``palmbot parity --json``."""
        return {
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "bars": self.bars,
            "missed_bars": self.missed_bars,
            "trades": len(self.lived),
            "backtest_trades": len(self.tested),
            "equal": self.equal,
            "pnl_minor": sum(each.pnl_minor for each in self.lived),
            "backtest_pnl_minor": sum(each.pnl_minor for each in self.tested),
            "differences": [
                {
                    "kind": each.kind,
                    "bar_end_ms": each.bar_end_ms,
                    "side": Side(each.side).name.lower(),
                    "detail": each.detail,
                    "pnl_minor": each.pnl_minor,
                }
                for each in self.differences
            ],
        }


def compare(lived: Lived, spec: InstrumentSpec, span_ms: tuple[int, int]) -> Parity:
    """Return the comparison of what was lived with a backtest of the same bars, for trades decided within ``span_ms``.

    Raises:
        RefusedError: the backtest's account would have been stopped out.
    """
    tested = _backtest(lived, spec)
    bars = {int(body["end_ms"]): body for body in lived.bars}
    ends = np.array(sorted(bars), np.int64)
    first_live_ms = next((int(body["end_ms"]) for body in lived.bars if body["live"]), 0)
    from_ms, to_ms = max(span_ms[0], first_live_ms), min(span_ms[1], int(ends[-1]))

    def decided_ms(trade: Trade) -> int:
        return int(ends[max(int(np.searchsorted(ends, trade.entry_ms, side="right")) - 1, 0)])

    def within(trades: Sequence[Trade]) -> dict[int, Trade]:
        return {decided_ms(each): each for each in trades if from_ms <= decided_ms(each) <= to_ms}

    ours, theirs = within(lived.trades), within(tested.trades)
    found: list[Difference] = []
    equal = 0
    for end_ms in sorted({*ours, *theirs}):
        one, other = ours.get(end_ms), theirs.get(end_ms)
        if one is not None and other is not None:
            new = _of_pair(one, other, end_ms, (lived, bars, ends))
            equal += not new
        elif one is not None:
            new = [_only_lived(one, end_ms, theirs, tested)]
        else:
            new = [_only_tested(theirs[end_ms], end_ms, (lived, bars), ours)]
        found += new
    inside = [body for body in lived.bars if from_ms <= body["end_ms"] <= to_ms]
    return Parity(
        from_ms=from_ms,
        to_ms=to_ms,
        bars=len(inside),
        missed_bars=sum(not body["live"] for body in inside),
        lived=tuple(ours.values()),
        tested=tuple(theirs.values()),
        equal=equal,
        differences=tuple(found),
    )


def _backtest(lived: Lived, spec: InstrumentSpec) -> RunResult:
    """Trade the bars of the journal again; the bars of its history are history here too."""
    history = next((place for place, body in enumerate(lived.bars) if body["live"]), len(lived.bars))
    params = lived.params._replace(warmup_bars=max(lived.params.warmup_bars, history + 1))
    data = _series(lived, spec)
    return backtest.run(data, lived.profile, params, lived.balance_minor)


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


_Known = tuple[Lived, Mapping[int, Mapping[str, Any]]]
_Bars = tuple[Lived, Mapping[int, Mapping[str, Any]], Int64Array]


def _of_pair(one: Trade, other: Trade, end_ms: int, known: _Bars) -> list[Difference]:
    """Return what differs between the same trade lived and tested."""
    found = []
    if one.side != other.side:
        detail = f"{Side(one.side).name.lower()} here, {Side(other.side).name.lower()} in the backtest"
        return [Difference("data", end_ms, one.side, detail)]
    worse_px = one.side * (one.entry_px - other.entry_px)
    if worse_px != 0:
        found.append(_at_entry(one, end_ms, worse_px, known))
    if one.exit_reason != other.exit_reason:
        names = (Reason(one.exit_reason).name, Reason(other.exit_reason).name)
        found.append(Difference("data", end_ms, one.side, f"ended by {names[0]}, in the backtest by {names[1]}"))
    elif one.exit_px != other.exit_px and one.exit_px - other.exit_px != one.entry_px - other.entry_px:
        found.append(_at_exit(one, other, end_ms))
    if one.volume_cu != other.volume_cu:
        detail = f"volume {one.volume_cu} cu, in the backtest {other.volume_cu}: equity was not the same"
        found.append(Difference("follows", end_ms, one.side, detail, one.pnl_minor - other.pnl_minor))
    if not found and one.pnl_minor != other.pnl_minor:
        charges = one.swap_minor - other.swap_minor, one.commission_minor - other.commission_minor
        detail = f"swap differs by {charges[0]} and commission by {charges[1]} minor units"
        found.append(Difference("data", end_ms, one.side, detail, one.pnl_minor - other.pnl_minor))
    return found


def _at_entry(one: Trade, end_ms: int, worse_px: int, known: _Bars) -> Difference:
    lived, bars, ends = known
    place = int(np.searchsorted(ends, end_ms)) + 1
    body = bars[int(ends[place])] if place < len(ends) else None
    rate_e8 = int((bars[end_ms] if body is None else body)["rate_e8"])
    cost = -_money(lived.instrument, worse_px, one.volume_cu, rate_e8)
    if body is not None and one.entry_ms - int(body["ts_ms"]) > LATE_MS:
        late_ms = one.entry_ms - int(body["ts_ms"])
        detail = f"filled {late_ms} ms after the first tick, {_worse(worse_px)}"
        return Difference("latency", end_ms, one.side, detail, cost)
    if one.side == Side.LONG and body is not None:
        usual_px = spread_px(lived.instrument, int(body["open_px"]))
        if worse_px == int(body["spread_px"]) - usual_px:
            detail = f"spread {int(body['spread_px']) / 1e5:g}, configured {usual_px / 1e5:g}"
            return Difference("spread", end_ms, one.side, detail, cost)
    return Difference("slippage", end_ms, one.side, f"entered {_worse(worse_px)} than configured", cost)


def _at_exit(one: Trade, other: Trade, end_ms: int) -> Difference:
    worse = one.side * (other.exit_px - one.exit_px)
    reason = Reason(one.exit_reason).name
    kind = "spread" if one.exit_reason == Reason.TP else "slippage"
    detail = f"{reason} filled {_worse(worse)} than in the backtest"
    return Difference(kind, end_ms, one.side, detail, one.pnl_minor - other.pnl_minor)


def _only_lived(one: Trade, end_ms: int, theirs: Mapping[int, Trade], tested: RunResult) -> Difference:
    """Name why the backtest did not take a trade of the bot."""
    if _is_held(theirs.values(), end_ms):
        return Difference("follows", end_ms, one.side, "the backtest was in another trade", one.pnl_minor)
    refused = next((each for each in tested.refusals if each.bar_end_ms == end_ms), None)
    if refused is not None:
        reason = Reason(refused.reason)
        kind = "breaker" if reason <= _LAST_BREAKER else "data"
        return Difference(kind, end_ms, one.side, f"the backtest refused it: {reason.name}", one.pnl_minor)
    return Difference("data", end_ms, one.side, "the backtest saw no signal at this bar", one.pnl_minor)


def _only_tested(other: Trade, end_ms: int, known: _Known, ours: Mapping[int, Trade]) -> Difference:
    """Name why the bot did not take a trade of the backtest."""
    lived, bars = known
    body = bars[end_ms]
    if not body["live"]:
        return Difference(
            "missed bar", end_ms, other.side, "the bot was not there when the bar closed", -other.pnl_minor
        )
    refused = next((each for each in lived.refusals if each.bar_end_ms == end_ms), None)
    if refused is not None:
        reason = Reason(refused.reason)
        kind = (
            "reject" if reason in SAID_NO else "breaker" if reason <= _LAST_BREAKER or reason in LIVE_ONLY else "data"
        )
        return Difference(kind, end_ms, other.side, f"refused: {reason.name}", -other.pnl_minor)
    if _is_held(ours.values(), end_ms) or Reason(int(body["reason"])) == Reason.HOLDING:
        return Difference("follows", end_ms, other.side, "the bot was in another trade", -other.pnl_minor)
    decided = Reason(int(body["reason"])).name
    if body["action"] and _is_open(lived, end_ms):
        return Difference("data", end_ms, other.side, "the bot's is still open, the backtest's ended")
    if body["action"]:
        return Difference(
            "missed bar", end_ms, other.side, f"decided {decided}, and nothing followed", -other.pnl_minor
        )
    return Difference("data", end_ms, other.side, f"the bot decided {decided}", -other.pnl_minor)


def _worse(px: float) -> str:
    return f"{abs(px) / 1e5:g} {'worse' if px > 0 else 'better'}"


def _is_held(trades: Any, end_ms: int) -> bool:  # noqa: ANN401 - any view of trades
    return any(each.entry_ms < end_ms < each.exit_ms for each in trades)


def _is_open(lived: Lived, end_ms: int) -> bool:
    """Whether the position that the bot held at its last bar is the one that the bar ``end_ms`` decided."""
    held = lived.bars[-1].get("holding")
    if held is None:
        return False
    open_ms = held["position"]["open_ms"]
    return bool(end_ms == max((body["end_ms"] for body in lived.bars if body["end_ms"] <= open_ms), default=0))


def _money(instrument: Instrument, px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what ``px`` a unit is in money of the account: enough to say how much a difference weighs."""
    return round(px * volume_cu * (rate_e8 / 1e8) * 10.0 ** (instrument.money_digits - 7))
