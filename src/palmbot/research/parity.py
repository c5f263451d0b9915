"""What a bot traded beside the backtest of the bars that it saw, with a name for each difference.

The journal tells every bar that the bot closed, the sentiment that it knew, its decisions and its trades. The same
compiled code trades the same bars again, with the costs of the configuration. Where all agree, nothing was in the way.
Else each difference has one name:

===============  ========================================================================================
spread           the real spread was not the configured one
slippage         a fill was worse or better than the quote by more than configured
latency          the fill came later than the first tick of its bar
missed bar       the bot was not there when the bar closed
breaker          a breaker that only one of both had tripped stopped an entry
reject           the broker, the link or the account's money said no
partial fill     the broker filled less than was asked for
costs            swap, commission or fee were not the configured ones
manual           a person closed the position or moved its levels in the platform
cash             a deposit or withdrawal; the backtest has it too from then on
open at the end  one of both still holds what the other has closed, or the bars end before one can
data             the tick path inside a bar, a late quote or another feed decided otherwise
follows          a consequence of an earlier difference: the account was in another position, or not as large
===============  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmbot.core.fills import spread_px
from palmbot.core.types import Instrument, Int64Array, Reason, Side
from palmbot.errors import UsageError
from palmbot.instruments import InstrumentSpec
from palmbot.model import Refusal, Trade
from palmbot.research.lived import OPEN_MS, Lived
from palmbot.research.retest import Retest, decided_ms, retested
from palmbot.research.wording import minute_text, money_text

LATE_MS = 1_000  # after the first tick of a bar a fill is late
CHARGES_PPM = 10_000  # by which charges may differ because the prices do
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
class Difference:
    """One difference. ``pnl_minor``: what it moved the result of the bot by, where that can be told."""

    kind: str
    bar_end_ms: int  # of the bar that decided
    side: int  # 0 where it is about no trade
    detail: str
    pnl_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of ``from_ms`` to ``to_ms``. ``equal`` trades agree in everything but their exact instant.

    ``lived`` and ``tested`` are closed trades; the ``held`` ones had no end in these bars.
    """

    from_ms: int
    to_ms: int
    bars: int
    missed_bars: int
    lived: tuple[Trade, ...]
    tested: tuple[Trade, ...]
    held: Trade | None
    tested_held: Trade | None
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
            "open": int(self.held is not None),
            "backtest_open": int(self.tested_held is not None),
            "equal": self.equal,
            "pnl_minor": sum(each.pnl_minor for each in self.lived),
            "backtest_pnl_minor": sum(each.pnl_minor for each in self.tested),
            "differences": [
                {
                    "kind": each.kind,
                    "bar_end_ms": each.bar_end_ms,
                    "side": Side(each.side).name.lower() if each.side else None,
                    "detail": each.detail,
                    "pnl_minor": each.pnl_minor,
                }
                for each in self.differences
            ],
        }


def compare(lived: Lived, spec: InstrumentSpec, span_ms: tuple[int, int]) -> Parity:
    """Return the comparison of what was lived with a backtest of the same bars, for trades decided within ``span_ms``.

    Raises:
        UsageError: no bar closed within the span while the bot was there.
        RefusedError: the backtest's account would have been stopped out.
    """
    ends = lived.ends_ms
    first_live_ms = next((int(body["end_ms"]) for body in lived.bars if body["live"]), OPEN_MS)
    from_ms, to_ms = max(span_ms[0], first_live_ms), min(span_ms[1], int(ends[-1]))
    inside = [body for body in lived.bars if from_ms <= body["end_ms"] <= to_ms]
    if not inside:
        raise UsageError(
            "NO_BARS",
            "Choose a --from and --to within the time that the bot was there.",
            first_bar=minute_text(first_live_ms),
            last_bar=minute_text(int(ends[-1])),
        )
    tested = retested(lived, spec)
    sides = _Sides(lived, tested, ends)

    def within(trades: Sequence[Trade]) -> dict[int, Trade]:
        decided = {sides.decided_ms(each): each for each in trades}
        return {end_ms: trade for end_ms, trade in decided.items() if from_ms <= end_ms <= to_ms}

    ours, theirs = within(_with(lived.trades, lived.held)), within(_with(tested.trades, tested.held))
    found = _cash(sides, (from_ms, to_ms))
    equal = 0
    for end_ms in sorted({*ours, *theirs}):
        one, other = ours.get(end_ms), theirs.get(end_ms)
        if one is not None and other is not None:
            new = sides.of_pair(one, other, end_ms)
            equal += not new and not _is_open(one)
        elif one is not None:
            new = [sides.only_lived(one, end_ms, theirs)]
        else:
            new = [sides.only_tested(theirs[end_ms], end_ms, ours)]
        found += new
    return Parity(
        from_ms=from_ms,
        to_ms=to_ms,
        bars=len(inside),
        missed_bars=sum(not body["live"] for body in inside),
        lived=tuple(each for each in ours.values() if not _is_open(each)),
        tested=tuple(each for each in theirs.values() if not _is_open(each)),
        held=next((each for each in ours.values() if _is_open(each)), None),
        tested_held=next((each for each in theirs.values() if _is_open(each)), None),
        equal=equal,
        differences=tuple(sorted(found, key=lambda each: each.bar_end_ms)),
    )


def _with(trades: tuple[Trade, ...], held: Trade | None) -> tuple[Trade, ...]:
    return trades if held is None else (*trades, held)


def _is_open(trade: Trade) -> bool:
    return trade.exit_ms >= OPEN_MS


def _cash(sides: _Sides, span_ms: tuple[int, int]) -> list[Difference]:
    """Return a line for each deposit and withdrawal: both accounts have it, so that later trades compare."""
    found = []
    for change in sides.lived.changes[1:]:
        end_ms = decided_ms(sides.ends, change.ts_ms)
        if change.cash_minor != 0 and span_ms[0] <= end_ms <= span_ms[1]:
            word = "deposit" if change.cash_minor > 0 else "withdrawal"
            amount = money_text(abs(change.cash_minor), change.instrument.money_digits)
            found.append(Difference("cash", end_ms, 0, f"{word} of {amount}: the backtest has it too from here on"))
    return found


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides of the comparison, and the rules that name what differs."""

    lived: Lived
    tested: Retest
    ends: Int64Array

    def decided_ms(self, trade: Trade) -> int:
        """Return the end of the bar that decided ``trade``: by its order, else by the time of its entry."""
        return self.lived.decided.get(trade.entry_ms, decided_ms(self.ends, trade.entry_ms))

    def body(self, end_ms: int) -> Mapping[str, Any]:
        """Return the record of the bar that ended then."""
        return self.lived.bars[int(np.searchsorted(self.ends, end_ms))]

    def after(self, end_ms: int) -> Mapping[str, Any] | None:
        """Return the record of the bar after the one that ended then; None where it has not closed."""
        place = int(np.searchsorted(self.ends, end_ms)) + 1
        return self.lived.bars[place] if place < len(self.ends) else None

    # -- a trade of both

    def of_pair(self, one: Trade, other: Trade, end_ms: int) -> list[Difference]:
        """Return what differs between the same trade lived and tested."""
        if one.side != other.side:
            detail = f"{_side(one)} here, {_side(other)} in the backtest"
            return [Difference("data", end_ms, one.side, detail)]
        found = []
        worse_px = one.side * (one.entry_px - other.entry_px)
        if worse_px != 0:
            found.append(self._at_entry(one, end_ms, worse_px))
        ended = self._at_end(one, other, end_ms)
        found += ended
        if one.volume_cu != other.volume_cu:
            found.append(self._volume(one, other, end_ms))
        elif one.exit_reason == other.exit_reason:
            found += _charges(one, other, end_ms, is_alone=not found)
        return found

    def _at_entry(self, one: Trade, end_ms: int, worse_px: int) -> Difference:
        body = self.after(end_ms)
        rate_e8 = int((self.body(end_ms) if body is None else body)["rate_e8"])
        cost = -_money(self.lived.changes[-1].instrument, worse_px, one.volume_cu, rate_e8)
        if body is not None and one.entry_ms - int(body["ts_ms"]) > LATE_MS:
            late_ms = one.entry_ms - int(body["ts_ms"])
            detail = f"filled {late_ms} ms after the first tick, {_worse(worse_px)}"
            return Difference("latency", end_ms, one.side, detail, cost)
        if one.side == Side.LONG and body is not None:
            usual_px = spread_px(self.lived.changes[-1].instrument, int(body["open_px"]))
            if worse_px == int(body["spread_px"]) - usual_px:
                detail = f"spread {int(body['spread_px']) / 1e5:g}, configured {usual_px / 1e5:g}"
                return Difference("spread", end_ms, one.side, detail, cost)
        return Difference("slippage", end_ms, one.side, f"entered {_worse(worse_px)} than configured", cost)

    def _at_end(self, one: Trade, other: Trade, end_ms: int) -> list[Difference]:
        """Return what differs at the end of a trade: one line at most."""
        is_same = one.exit_reason == other.exit_reason
        if is_same and (_is_open(one) or one.exit_px - other.exit_px in (0, one.entry_px - other.entry_px)):
            return []
        pnl_minor = None if _is_open(one) or _is_open(other) else one.pnl_minor - other.pnl_minor
        ends = f"ended by {_reason(one)}, in the backtest by {_reason(other)}"
        if _is_open(one):
            ends = f"still held here, in the backtest ended by {_reason(other)}"
        elif _is_open(other):
            ends = f"ended by {_reason(one)}, still held in the backtest"
        touched = self.lived.touched.get(one.entry_ms, "closed by hand" if one.exit_reason == Reason.MANUAL else "")
        if touched:
            return [Difference("manual", end_ms, one.side, f"{touched}: {ends}", pnl_minor)]
        if is_same:
            return [_worse_end(one, other, end_ms)]
        kind = "open at the end" if _is_open(one) or _is_open(other) else "data"
        return [Difference(kind, end_ms, one.side, ends, pnl_minor)]

    def _volume(self, one: Trade, other: Trade, end_ms: int) -> Difference:
        pnl_minor = None if _is_open(one) or _is_open(other) else one.pnl_minor - other.pnl_minor
        asked_cu = int(self.body(end_ms)["volume_cu"])
        if one.volume_cu < asked_cu:
            detail = f"{one.volume_cu} cu of {asked_cu} were filled"
            return Difference("partial fill", end_ms, one.side, detail, pnl_minor)
        detail = f"volume {one.volume_cu} cu, in the backtest {other.volume_cu}: equity was not the same"
        return Difference("follows", end_ms, one.side, detail, pnl_minor)

    # -- a trade of one

    def only_lived(self, one: Trade, end_ms: int, theirs: Mapping[int, Trade]) -> Difference:
        """Name why the backtest did not take a trade of the bot."""
        pnl_minor = None if _is_open(one) else one.pnl_minor

        def named(kind: str, detail: str) -> Difference:
            return Difference(kind, end_ms, one.side, detail, pnl_minor)

        if end_ms == self.ends[-1]:
            return named("open at the end", "the bars end with its decision, where the backtest cannot enter")
        if _is_held(theirs, end_ms):
            return named("follows", "the backtest was in another trade")
        refused = _refused(self.tested.refusals, end_ms)
        if refused is not None:
            kind = "breaker" if refused <= _LAST_BREAKER else "data"
            return named(kind, f"the backtest refused it: {refused.name}")
        return named("data", "the backtest saw no signal at this bar")

    def only_tested(self, other: Trade, end_ms: int, ours: Mapping[int, Trade]) -> Difference:
        """Name why the bot did not take a trade of the backtest."""
        body = self.body(end_ms)

        def named(kind: str, detail: str) -> Difference:
            return Difference(kind, end_ms, other.side, detail, None if _is_open(other) else -other.pnl_minor)

        if not body["live"]:
            return named("missed bar", "the bot was not there when the bar closed")
        refused = _refused(self.lived.refusals, end_ms)
        if refused is not None:
            return named(_kind_of_refusal(refused), f"refused: {refused.name}")
        decided = Reason(int(body["reason"]))
        if _is_held(ours, end_ms) or decided == Reason.HOLDING:
            return named("follows", "the bot was in another trade")
        if body["action"]:
            return named("missed bar", f"decided {decided.name}, and nothing followed")
        return named("data", f"the bot decided {decided.name}")


def _kind_of_refusal(reason: Reason) -> str:
    if reason in SAID_NO:
        return "reject"
    return "breaker" if reason <= _LAST_BREAKER or reason in LIVE_ONLY else "data"


def _refused(refusals: Sequence[Refusal], end_ms: int) -> Reason | None:
    return next((Reason(each.reason) for each in refusals if each.bar_end_ms == end_ms), None)


def _worse_end(one: Trade, other: Trade, end_ms: int) -> Difference:
    worse = one.side * (other.exit_px - one.exit_px)
    kind = "spread" if one.exit_reason == Reason.TP else "slippage"
    detail = f"{_reason(one)} filled {_worse(worse)} than in the backtest"
    return Difference(kind, end_ms, one.side, detail, one.pnl_minor - other.pnl_minor)


def _charges(one: Trade, other: Trade, end_ms: int, *, is_alone: bool) -> list[Difference]:
    """Return what swap, commission and fee differ by, where the prices do not explain it."""
    names = ("swap", "commission", "fee")
    amounts = [(getattr(one, f"{name}_minor"), getattr(other, f"{name}_minor")) for name in names]
    differ = {
        name: ours - theirs
        for name, (ours, theirs) in zip(names, amounts, strict=True)
        if abs(ours - theirs) > (0 if is_alone else 1 + abs(theirs) * CHARGES_PPM // 1_000_000)
    }
    if not differ:
        return []
    detail = ", ".join(f"{name} {minor:+d} minor units" for name, minor in differ.items())
    return [Difference("costs", end_ms, one.side, detail, sum(differ.values()))]


def _side(trade: Trade) -> str:
    return Side(trade.side).name.lower()


def _reason(trade: Trade) -> str:
    return Reason(trade.exit_reason).name


def _worse(px: float) -> str:
    return f"{abs(px) / 1e5:g} {'worse' if px > 0 else 'better'}"


def _is_held(trades: Mapping[int, Trade], end_ms: int) -> bool:
    return any(each.entry_ms < end_ms < each.exit_ms for each in trades.values())


def _money(instrument: Instrument, px: int, volume_cu: int, rate_e8: int) -> int:
    """Return what ``px`` a unit is in money of the account: enough to say how much a difference weighs."""
    return round(px * volume_cu * (rate_e8 / 1e8) * 10.0 ** (instrument.money_digits - 7))
