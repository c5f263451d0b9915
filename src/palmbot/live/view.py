"""The trader as a person sees it: one frozen picture, made on demand."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.core.indicators import rsi
from palmbot.core.live_breakers import Watch
from palmbot.core.types import Breakers, Reason
from palmbot.live.trader import Trader
from palmbot.model import BotView, BreakerView, Difference, HistoryBar, LinkState
from palmbot.units import DAY_MS


@dataclass(frozen=True, slots=True)
class Labels:
    """What a view says about the run as a whole."""

    mode: str
    synthetic: bool
    profile: str
    digits: int
    currency: str = ""
    differences: tuple[Difference, ...] = ()


def breakers_of(guards: Breakers, watch: Watch, clock_ms: int) -> tuple[BreakerView, ...]:
    """Return the breakers that block entries at ``clock_ms``, in order of precedence."""
    found = []
    if guards.halted == 1:
        found.append(BreakerView(int(Reason.HALT_DRAWDOWN), 0))
    if watch.manual == 1:
        found.append(BreakerView(int(Reason.HALT_MANUAL), 0))
    if guards.day_tripped == 1:
        found.append(BreakerView(int(Reason.DAILY_LOSS), guards.day_start_ms + DAY_MS))
    if clock_ms < guards.cooldown_until_ms:
        found.append(BreakerView(int(Reason.LOSS_STREAK), guards.cooldown_until_ms))
    if clock_ms < guards.pause_until_ms:
        found.append(BreakerView(int(Reason.VOLATILITY_SPIKE), guards.pause_until_ms))
    if clock_ms < watch.rejects_until_ms:
        found.append(BreakerView(int(Reason.REJECT_STREAK), watch.rejects_until_ms))
    if watch.link_lost == 1:
        found.append(BreakerView(int(Reason.LINK_LOST), 0))
    return tuple(found)


def view(trader: Trader, labels: Labels, opens_ms: int = 0) -> BotView | None:
    """Return the picture of ``trader`` now; None before the first price.

    Args:
        trader: the bot.
        labels: what is said of the run as a whole.
        opens_ms: when the market opens, where it is closed now.
    """
    state, mark, book, feed = trader.state, trader.feed.mark, trader.book, trader.feed
    if state is None or mark is None:
        return None
    params, guards, holding = trader.rules.params, state.breakers, book.holding
    known = trader.sentiment.known_ms >= 0
    return BotView(
        mode=labels.mode,
        synthetic=labels.synthetic,
        differences=labels.differences,
        symbol=book.owner.symbol,
        profile=labels.profile,
        digits=labels.digits,
        money_digits=trader.rules.instrument.money_digits,
        lot_cu=trader.rules.instrument.lot_cu,
        clock_ms=mark.ts_ms,
        bid_px=mark.bid_px,
        ask_px=mark.bid_px + mark.spread_px,
        bar=None if feed.forming is None else HistoryBar(feed.forming.ts_ms, *feed.forming[2:], is_forming=True),
        bars_closed=state.indicators.bars,
        warmup_bars=params.warmup_bars,
        rsi=float(rsi(state.indicators)),
        sentiment=float(trader.sentiment.score) if known else None,
        sentiment_age_ms=mark.ts_ms - trader.sentiment.known_ms if known else None,
        balance_minor=book.balance_minor,
        equity_minor=trader.equity_minor,
        day_open_minor=guards.day_open_minor,
        daily_limit_minor=guards.day_open_minor * params.daily_loss_bp // 10_000,
        peak_minor=guards.peak_minor,
        position=None if holding is None else holding.position,
        position_reason=0 if holding is None else holding.reason,
        sl_first_px=0 if holding is None else holding.sl_first_px,
        breakers=breakers_of(guards, trader.watch, mark.ts_ms),
        decisions=tuple((each.bar_end_ms, each.action, each.reason) for each in trader.decisions),
        trades=tuple(trader.trades),
        trades_count=trader.trades_count,
        wins_count=trader.wins_count,
        link=LinkState.LOST if trader.watch.link_lost else LinkState.READY,
        opens_ms=opens_ms,
        currency=labels.currency,
    )
