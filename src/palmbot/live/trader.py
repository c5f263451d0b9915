"""The bot without its wires: events in, requests and records out. No clock, no awaiting, no I/O.

Order of a quote (PARITY 20-25): what time brings (trading day, bar close with its decision), the bar and the mark, the
breakers, and on the first tick of a bar the pending decision. Fills and swaps come before the quote of their tick.
"""

from __future__ import annotations

from collections import deque

from palmbot.core import breakers, fills, live_breakers, step
from palmbot.core.live_breakers import Watch, Wire
from palmbot.core.types import (
    Account,
    Action,
    Bar,
    Breakers,
    Decision,
    Indicators,
    Position,
    Reason,
    Sentiment,
    State,
    Verdict,
)
from palmbot.live import records
from palmbot.live.feed import Mark
from palmbot.live.rules import Rules
from palmbot.model import (
    CashEvent,
    Execution,
    HistoryBar,
    IntentKind,
    JournalEvent,
    LinkEvent,
    LinkState,
    OrderEvent,
    OrderIntent,
    Quote,
    TermsEvent,
    Trade,
)
from palmbot.orders import plan
from palmbot.orders.book import Book, Closed
from palmbot.orders.lifecycle import Happening
from palmbot.ports import SentimentSource
from palmbot.units import DAY_MS

_FAR_MINOR = 1 << 62
_FLAT = Position()
_RECENT = 8


class Trader:
    """Decides and keeps the books. Mutable; owned by one task.

    Requests are returned; records pile up in ``outbox`` until the shell takes them.
    """

    def __init__(self, rules: Rules, book: Book, sentiment: SentimentSource) -> None:
        self.rules = rules
        self.book = book
        self.feed = rules.new_feed()
        self.state: State | None = None  # None until the first bar or quote
        self.pending: Decision | None = None
        self.bars_held = 0
        self.outbox: list[JournalEvent] = []
        self.trades: deque[Trade] = deque(maxlen=_RECENT)  # newest first, for the view
        self.trades_count = 0
        self.wins_count = 0
        self.decisions: deque[Decision] = deque(maxlen=_RECENT)
        self.sentiment = Sentiment()  # as of the last bar's end
        self.watch = Watch()
        self.parked = False  # an outcome is unknown: no entries
        self.astray = False  # the broker no longer shows the position that is held, and its deals are not listed yet
        self.behind = False  # what happened while the link was lost is not read yet: no entries
        self.may_trade = True  # False while history passes through
        self._sentiment = sentiment
        self._low_minor = _FAR_MINOR
        self._curve_minor = book.balance_minor  # equity at the last mark, before what time brings after it
        self._held = False
        self._serial = 0  # of the last record that kept the state

    # -- what the shell and the view read

    @property
    def equity_minor(self) -> int:
        """Equity at the last mark."""
        return self.book.balance_minor + self._floating()

    def restore(self, kept: records.Kept) -> None:
        """Go on from what an earlier run kept."""
        self._serial, self.book.balance_minor = kept.serial, kept.balance_minor
        self.state, self.bars_held, self.book.holding = kept.state, kept.bars_held, kept.holding
        self.feed.restore((kept.closes, kept.gaps), kept.closed_ms, kept.mark)
        self.pending = kept.pending
        self.watch = kept.watch._replace(link_lost=0)  # a new run has a new link

    def position(self) -> Position:
        """Return the open position as the core sees it; flat when there is none."""
        return _FLAT if self.book.holding is None else self.book.holding.core(self.bars_held)

    def last_curve(self) -> tuple[int, int, bool]:
        """Return equity, lowest equity and whether a position was held of the bar that has not ended."""
        return self._curve_minor, min(self._low_minor, self._curve_minor), self._held

    # -- events

    def on_quote(self, quote: Quote, silence_ms: int = 0) -> list[OrderIntent]:
        """Take in a quote that came ``silence_ms`` of machine time after the last; return the requests to send."""
        if silence_ms > self.rules.limits.stale_after_ms and self.rules.was_closed(self.feed.mark, quote.ts_ms):
            silence_ms = 0
        self._begin(quote.ts_ms)
        self.advance(quote.ts_ms)
        is_first = self.feed.quote(quote)
        equity = self.equity_minor
        self._curve_minor = equity
        self._low_minor = min(self._low_minor, equity)
        if self.book.holding is not None:
            self._held = True
            verdict = self._on_mark(equity, quote.ts_ms)
            if verdict.reason != Reason.NONE:
                return self.close(verdict.reason, quote.ts_ms)
        if is_first and (owed := self.owed(quote.ts_ms)):  # a flatten that was refused is asked for again
            return owed
        if not is_first or self.pending is None:
            return []
        decision, self.pending = self.pending, None
        return self._act(decision, quote.ts_ms, silence_ms)

    def on_order_event(self, event: OrderEvent) -> None:
        """Take in what the broker did. Swaps come before what else falls on their instant, fills after it."""
        self._begin(event.ts_ms)
        self.advance(event.ts_ms - 1 if event.execution is Execution.SWAP else event.ts_ms)
        refused, known = self.book.refusal(event), self.book.holding
        closed = self.book.apply(event)
        self.parked = self.parked and bool(self.book.in_flight)  # the answer was only late
        self.outbox.append(records.order_event(event, closed.trade.exit_reason if closed is not None else 0))
        if refused is not None and refused[0].kind is IntentKind.ENTER:
            intent, reason = refused
            self.outbox.append(records.refusal(event.ts_ms, intent.bar_end_ms, intent.side, reason))
            if reason != Reason.NOT_ENOUGH_MONEY:
                self._on_reject(event.ts_ms)
        if closed is not None:
            self._on_close(closed)
            return
        held = self.book.holding
        if held is not None and (known is None or known.position.position_id != held.position.position_id):
            self.bars_held = 0
            self.watch = live_breakers.filled(self.watch)
            self._held = True
        if held != known:
            self.keep_state(event.ts_ms)

    def on_unsent(self, intent: OrderIntent) -> None:
        """Take in that an entry certainly did not leave, for the link was down."""
        self.book.happened(intent.client_order_id, Happening.REFUSE)
        self.outbox.append(records.refusal(intent.ts_ms, intent.bar_end_ms, intent.side, Reason.LINK_LOST))

    def on_link(self, event: LinkEvent) -> None:
        """Take in that the link was lost or is ready again."""
        lost = int(event.state is not LinkState.READY)
        if lost and not self.watch.link_lost:
            self.outbox.append(records.breaker(event.ts_ms, Reason.LINK_LOST, 0))
        self.behind = self.behind or bool(lost)
        self.watch = live_breakers.with_link(self.watch, lost)

    def halt(self, ts_ms: int, on: int) -> None:
        """Block entries by hand (1), or allow them again (0); kept over restarts."""
        if on and not self.watch.manual:
            self.outbox.append(records.breaker(ts_ms, Reason.HALT_MANUAL, 0))
        self.watch = live_breakers.with_manual(self.watch, on)
        self.keep_state(ts_ms)

    def on_cash(self, event: CashEvent) -> None:
        """Take in a deposit or withdrawal: the baselines move with it, for it is neither profit nor loss.

        One that was in the balance already when the broker was last asked has moved them.
        """
        if 0 < event.balance_version <= self.book.balance_version:
            return
        self.book.balance_minor = event.balance_minor
        if self.state is not None:
            self._guards(breakers.shifted(self.state.breakers, event.delta_minor))
        self.outbox.append(records.cash(event.ts_ms, event.delta_minor))
        self.keep_state(event.ts_ms)

    def on_terms(self, event: TermsEvent) -> None:
        """Go on under other terms of the broker; enter nothing where they forbid it."""
        ts_ms = 0 if self.feed.mark is None else self.feed.mark.ts_ms
        self.outbox.append(records.note(ts_ms, f"the broker's new terms: {self.rules.news(event)}"))
        self.rules = self.rules.under(event)

    def absorb(self, bar: HistoryBar) -> None:
        """Let a bar of the broker's history pass through the same update, with orders off."""
        self._begin(bar.ts_ms)
        self.advance(bar.ts_ms)
        closed = self.feed.absorb(bar)
        self._curve_minor = self.equity_minor
        self.may_trade = False
        self._bar_closed(closed)
        self.may_trade = True

    def resume(self, bar: HistoryBar) -> None:
        """Go on forming ``bar``, whose first ticks came while the bot was away."""
        self._begin(bar.ts_ms)
        self.advance(bar.ts_ms)
        self.feed.resume(bar)
        self._curve_minor = self.equity_minor

    def amend(self, levels: tuple[int, int], reason: int, ts_ms: int) -> list[OrderIntent]:
        """Return the request that puts both levels of the open position where they belong."""
        holding = self.book.holding
        if holding is None:
            return []
        bar_end_ms = self.feed.end_of(ts_ms)
        when = (ts_ms, bar_end_ms, self.book.tries(bar_end_ms, IntentKind.AMEND))
        return [plan.amendment(self.book.owner, holding.position, levels, reason, when)]

    def owed(self, ts_ms: int) -> list[OrderIntent]:
        """Return the close that a tripped limit still owes, for instance after a crash between the two."""
        if self.book.holding is None or self.state is None:
            return []
        guards = self.state.breakers
        if guards.halted == 1:
            return self.close(Reason.BREAKER_DRAWDOWN, ts_ms)
        if guards.day_tripped == 1:
            return self.close(Reason.BREAKER_DAILY, ts_ms)
        return []

    def keep_state(self, ts_ms: int) -> None:
        """Record what the next start needs."""
        if self.state is not None:
            self.outbox.append(records.state(ts_ms, self._kept(self.state)))

    # -- time

    def _begin(self, ts_ms: int) -> None:
        if self.state is None:
            self.state = step.initial(self.rules.instrument, self.book.balance_minor, ts_ms)

    def advance(self, until_ms: int) -> None:
        """Let the market clock reach ``until_ms``: trading days and the bar's end, by time, the day first on a tie."""
        while self.state is not None:
            day_ms = self.state.breakers.day_start_ms + DAY_MS
            end_ms = self.feed.forming.end_ms if self.feed.forming is not None else until_ms + 1
            if min(day_ms, end_ms) > until_ms:
                return
            if day_ms <= end_ms:
                self._guards(step.on_time(self.state.breakers, self.equity_minor, day_ms))
                self.keep_state(day_ms)
            else:
                self._bar_closed(self.feed.close())

    def _bar_closed(self, bar: Bar) -> None:
        """Make the bar's one decision; it waits for the next bar's first tick."""
        if self.state is None:
            return
        if self.book.holding is not None:
            self.bars_held += 1
        account = Account(self.book.balance_minor, self.equity_minor, self.position())
        self.sentiment = sentiment = self._sentiment.at(bar.end_ms)
        rules = self.rules
        bar = rules.foreseen(bar)
        self.state, decision = step.step(rules.params, rules.instrument, self.state, bar, account, sentiment)
        self.pending = decision if self.may_trade and decision.action != Action.NONE else None
        self.decisions.appendleft(decision)
        closing = records.BarClosed(
            bar=bar,
            decision=decision,
            sentiment=sentiment,
            equity_minor=self._curve_minor,
            equity_low_minor=min(self._low_minor, self._curve_minor),
            kept=self._kept(self.state),
            held=self._held,
            live=self.may_trade,
        )
        self.outbox.append(records.bar_closed(closing))
        if self.may_trade and decision.action == Action.NONE and decision.signal != 0:
            self.outbox.append(records.refusal(bar.end_ms, bar.end_ms, decision.signal, decision.reason))
        self._low_minor = _FAR_MINOR
        self._held = self.book.holding is not None

    # -- decisions to requests

    def _act(self, decision: Decision, ts_ms: int, silence_ms: int) -> list[OrderIntent]:
        """Carry out the pending decision on the first tick of a bar: exit, else amend, else entry."""
        mark = self.feed.mark
        if self.state is None or mark is None:
            return []
        if decision.action == Action.ENTER:
            return self._enter(decision, mark, silence_ms)
        holding = self.book.holding
        if holding is None:  # the protective order or a breaker was first
            return []
        if decision.action == Action.EXIT:
            return self.close(decision.reason, ts_ms)
        side = holding.position.side
        if (fills.mark_px(side, mark.bid_px, mark.spread_px) - decision.sl_px) * side <= 0:
            return self.close(Reason.TRAIL, ts_ms)  # the open is already through the new stop
        return self.amend((decision.sl_px, decision.tp_px), Reason.TRAIL, ts_ms)

    def _enter(self, decision: Decision, mark: Mark, silence_ms: int) -> list[OrderIntent]:
        if self.state is None:
            return []
        rules, ts_ms = self.rules, mark.ts_ms
        reason = breakers.gate(rules.params, self.state.breakers, decision, mark.bid_px, ts_ms)
        if reason == Reason.NONE:
            usual_px = fills.spread_px(rules.instrument, mark.bid_px)
            reason = live_breakers.gate(rules.limits, self.watch, Wire(ts_ms, mark.spread_px, usual_px, silence_ms))
        if reason == Reason.NONE and (self.parked or self.behind or not self.book.is_settled):
            reason = Reason.OUTCOME_UNKNOWN
        if reason == Reason.NONE and self.book.holding is not None:  # found since the decision
            reason = Reason.HOLDING
        if reason == Reason.NONE and self.rules.barred:
            reason = Reason.MARKET_CLOSED
        if reason != Reason.NONE:
            self.outbox.append(records.refusal(ts_ms, decision.bar_end_ms, decision.side, reason))
            return []
        return [plan.entry(self.book.owner, decision, ts_ms, self.book.tries(decision.bar_end_ms, IntentKind.ENTER))]

    def close(self, reason: int, ts_ms: int) -> list[OrderIntent]:
        """Return the request that closes the position; none while another close is in flight."""
        holding = self.book.holding
        if holding is None or any(each.kind is IntentKind.CLOSE for each in self.book.in_flight):
            return []
        bar_end_ms = self.feed.end_of(ts_ms)
        when = (ts_ms, bar_end_ms, self.book.tries(bar_end_ms, IntentKind.CLOSE))
        return [plan.closing(self.book.owner, holding.position, int(reason), when)]

    # -- breakers

    def _on_reject(self, ts_ms: int) -> None:
        before = self.watch
        self.watch = live_breakers.rejected(self.rules.limits, before, ts_ms)
        if self.watch.rejects_until_ms != before.rejects_until_ms:
            self.outbox.append(records.breaker(ts_ms, Reason.REJECT_STREAK, self.watch.rejects_until_ms))

    def _guards(self, guards: Breakers) -> None:
        indicators = Indicators() if self.state is None else self.state.indicators
        self.state = State(indicators, guards)

    def _kept(self, state: State) -> records.Kept:
        self._serial += 1
        return records.Kept(
            serial=self._serial,
            balance_minor=self.book.balance_minor,
            state=state,
            closes=tuple(self.feed.closes),
            gaps=tuple(self.feed.gaps),
            closed_ms=self.feed.closed_ms,
            bars_held=self.bars_held,
            holding=self.book.holding,
            watch=self.watch,
            pending=self.pending,
            mark=self.feed.mark,
        )

    def _on_mark(self, equity_minor: int, ts_ms: int) -> Verdict:
        if self.state is None:
            return Verdict(Reason.NONE, 0, 0)
        guards, verdict = step.on_mark(self.rules.params, self.state.breakers, equity_minor, ts_ms)
        self._tripped(guards, verdict, ts_ms)
        if verdict.reason != Reason.NONE:
            self.pending = None  # a flatten drops whatever was decided
            self.keep_state(ts_ms)
        return verdict

    def _on_close(self, closed: Closed) -> None:
        if self.state is None:
            return
        ts_ms, net_minor = closed.trade.exit_ms, closed.trade.pnl_minor
        params, end_ms = self.rules.params, self.feed.end_of(ts_ms)
        guards = self.state.breakers
        guards, verdict = step.on_close(params, guards, net_minor, closed.balance_minor, end_ms, ts_ms)
        self._curve_minor = closed.balance_minor
        self._low_minor = min(self._low_minor, closed.balance_minor)
        self.bars_held = 0
        self._tripped(guards, verdict, ts_ms)
        self.trades.appendleft(closed.trade)
        self.trades_count += 1
        self.wins_count += net_minor > 0
        self.keep_state(ts_ms)

    def _tripped(self, guards: Breakers, verdict: Verdict, ts_ms: int) -> None:
        self._guards(guards)
        if verdict.drawdown:
            self.outbox.append(records.breaker(ts_ms, Reason.HALT_DRAWDOWN, 0))
        if verdict.daily:
            self.outbox.append(records.breaker(ts_ms, Reason.DAILY_LOSS, guards.day_start_ms + DAY_MS))

    def _floating(self) -> int:
        mark = self.feed.mark
        if self.book.holding is None or mark is None:
            return 0
        floating = fills.floating_minor(
            self.rules.instrument, self.position(), mark.bid_px, mark.spread_px, mark.rate_e8
        )
        return int(floating)
