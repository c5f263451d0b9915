"""The parts of the live view: each draws one thing of a `BotView`. Nothing here is computed twice or decided."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from palmbot.cli.formats import PAPER, lots, moment, money, price, side, span
from palmbot.cli.gauge import Fill, Track
from palmbot.cli.reasons import describe
from palmbot.core.types import Action, Reason
from palmbot.model import BotView, BrokerPosition, LinkState
from palmbot.protocol.statement import NOT_STATED
from palmbot.settings import Settings
from palmbot.units import money_of_minor

ACTION_WORDS = {Action.NONE: "wait", Action.ENTER: "enter", Action.AMEND: "amend", Action.EXIT: "exit"}
ACTION_STYLES = {Action.NONE: "dim", Action.ENTER: "bold green", Action.AMEND: "cyan", Action.EXIT: "bold yellow"}
BREAKERS_SHOWN = 3
LINK_STYLES = {LinkState.READY: "green", LinkState.CONNECTING: "yellow", LinkState.LOST: "bold red"}


def header(view: BotView) -> RenderableType:
    """Return the title line: what runs, on which market, when, and whether the market is made up."""
    title = Text()
    title.append(f" {view.symbol} ", "bold reverse")
    if view.synthetic:  # before all else, so that no width cuts it off
        title.append(" SYNTHETIC ", "bold black on yellow")
    if view.mode != PAPER:
        title.append(f" {view.mode} ", "bold white on blue")
    told = view.mode if view.mode == PAPER else "no order leaves this machine"
    title.append(f"  {view.profile}  {told}")
    clock = Text(f"{moment(view.clock_ms, '%a %Y-%m-%d %H:%M')} UTC ")
    clock.append(view.link.value, LINK_STYLES[view.link])
    row = Table.grid(expand=True)
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_column(ratio=1, justify="right", no_wrap=True, overflow="ellipsis")
    row.add_row(title, clock)
    return row


def market(view: BotView, settings: Settings) -> Panel:
    """Return price, forming bar, RSI and sentiment."""
    rows = _rows()
    quote = f"{price(view.bid_px, view.digits)} / {price(view.ask_px, view.digits)}"
    rows.add_row("bid / ask", Text(quote, "bold") if view.bid_px else Text("no price yet", "dim"))
    rows.add_row(*_bar(view))
    rows.add_row("RSI", _rsi(view, settings))
    rows.add_row("sentiment", _sentiment(view, settings))
    warm = view.bars_closed >= view.warmup_bars
    count = f"{view.bars_closed} closed" if warm else f"warming up, {view.bars_closed} of {view.warmup_bars}"
    rows.add_row("bars", Text(count, "" if warm else "yellow"))
    others = sum(each.broker != NOT_STATED for each in view.differences)
    return _panel(f"Market, {others} terms not as configured" if others else "Market", rows)


def _bar(view: BotView) -> tuple[str, Text]:
    bar = view.bar
    if view.opens_ms:
        return "closed", Text(f"opens {moment(view.opens_ms, '%a %Y-%m-%d %H:%M')} UTC", "yellow")
    if bar is None:
        return "bar", Text("none is forming", "dim")
    change = bar.close_px - bar.open_px
    text = Text(f"{price(bar.low_px, view.digits)}-{price(bar.high_px, view.digits)} ")
    return moment(bar.ts_ms, "bar %H:%M"), text.append(f"{change / bar.open_px * 100:+.2f}%", _sign_style(change))


def _rsi(view: BotView, settings: Settings) -> RenderableType:
    if math.isnan(view.rsi) or view.bars_closed == 0:
        return Text("not known yet", "dim")
    low, high = settings.params.rsi_low, settings.params.rsi_high
    style = "bold" if low <= view.rsi <= high else "bold yellow"
    ends = Text(f"{low:g}/{high:g}", "dim")
    return _row(Text(f"{view.rsi:4.1f}", style), Track(0, 100, view.rsi, (low, high), style), ends)


def _sentiment(view: BotView, settings: Settings) -> RenderableType:
    if view.sentiment is None:
        return Text("none known: neutral", "dim")
    params = settings.params
    age_ms = view.sentiment_age_ms if view.sentiment_age_ms is not None else 0
    stale = age_ms > params.sentiment_max_age_ms
    note = Text(f"stale, {span(age_ms)}" if stale else f"{span(age_ms)} old", "yellow" if stale else "dim")
    style = "dim" if stale else f"bold {_sign_style(view.sentiment)}"
    track = Track(-100, 100, view.sentiment, (params.sentiment_short, params.sentiment_long), style)
    return _row(Text(f"{view.sentiment:+4.0f}", style), track, note)


def account(view: BotView, settings: Settings) -> Panel:
    """Return equity, the day's result against its limit, drawdown, and the count of trades."""
    rows = _rows()
    digits, currency = view.money_digits, view.currency or settings.instrument.deposit_currency
    rows.add_row("equity", Text(f"{money(view.equity_minor, digits)} {currency}", "bold"))
    rows.add_row("balance", f"{money(view.balance_minor, digits)} {currency}")
    day_minor, limit_minor = view.equity_minor - view.day_open_minor, abs(view.daily_limit_minor)
    result = Text(money(day_minor, digits, signed=True), _sign_style(day_minor))
    used = max(-day_minor, 0) / limit_minor if limit_minor else 0.0
    most = f"of {-money_of_minor(limit_minor, digits):,.0f}" if limit_minor else "no limit"
    rows.add_row("day", _row(result, Fill(used), Text(most, "dim")))
    fall = max(view.peak_minor - view.equity_minor, 0) / view.peak_minor if view.peak_minor > 0 else 0.0
    limit_bp = settings.params.drawdown_bp
    gauge = Fill(fall * 10_000 / limit_bp if limit_bp else 0.0)
    most = f"of {_percent(limit_bp)}" if limit_bp else "no limit"
    rows.add_row("drawdown", _row(Text(f"{fall * 100:.2f}%"), gauge, Text(most, "dim")))
    wins = f", {view.wins_count} won" if view.trades_count else ""
    rows.add_row("trades", f"{view.trades_count}{wins}")
    return _panel("Account", rows)


def position(view: BotView, settings: Settings) -> Panel:
    """Return the open position with its stop, target and result in R."""
    held = view.position
    if held is None or held.volume_cu == 0:
        return _panel("Position", Text("flat", "dim"))
    rows = _rows()
    mark_px = view.bid_px if held.side > 0 else view.ask_px
    pnl_minor = view.equity_minor - view.balance_minor
    what = Text()
    what.append(side(held.side).upper(), "bold green" if held.side > 0 else "bold red")
    what.append(f" {lots(held.volume_cu, view.lot_cu)} at {price(held.entry_px, view.digits)}")
    rows.add_row("holds", what)
    result = f"{money(pnl_minor, view.money_digits, signed=True)} {settings.instrument.deposit_currency}"
    r = r_multiple(held, view.sl_first_px, mark_px)
    rows.add_row(
        "result", Text(f"{result}   {r:+.2f} R" if r is not None else result, f"bold {_sign_style(pnl_minor)}")
    )
    rows.add_row("SL", _levels(held, mark_px, view.digits))
    return _panel(f"Position, {span(view.clock_ms - held.open_ms)} old", rows)


def _levels(held: BrokerPosition, mark_px: int, digits: int) -> RenderableType:
    """Return the way from stop to target with the mark on it and a tick at the entry; the stop is always left."""
    if held.sl_px is None:
        return Text("NO STOP", "bold white on red")
    tp_px = held.tp_px
    end_px = mark_px if tp_px is None else tp_px
    away = 1 if end_px >= held.sl_px else -1
    track = Track(away * held.sl_px, away * end_px, away * mark_px, (away * held.entry_px,))
    target = "no TP" if tp_px is None else f"{price(tp_px, digits)} TP"
    return _row(Text(price(held.sl_px, digits), "red"), track, Text(target, "green"))


def r_multiple(held: BrokerPosition, sl_first_px: int, mark_px: int) -> float | None:
    """Return the open result in units of the risk that was first taken; None where that is unknown."""
    risk_px = abs(held.entry_px - sl_first_px) if sl_first_px else 0
    return (mark_px - held.entry_px) * held.side / risk_px if risk_px else None


def breakers(view: BotView, settings: Settings) -> Panel:
    """Return what blocks entries and for how long by the market clock."""
    if not view.breakers:
        params = settings.params
        limits = (
            f"day {_percent(-params.daily_loss_bp)}, drawdown {_percent(params.drawdown_bp)}, "
            f"{params.losses_max or 'any'} losses, spike {_percent(params.spike_bp)}"
        )
        return _panel("Breakers", Group(Text("all clear", "green"), Text(limits, "dim")))
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    room = BREAKERS_SHOWN if len(view.breakers) <= BREAKERS_SHOWN else BREAKERS_SHOWN - 1
    for tripped in view.breakers[:room]:
        left = span(tripped.until_ms - view.clock_ms) if tripped.until_ms else "until re-armed"
        rows.add_row(Text(Reason(tripped.reason).name, "bold red"), Text(left, "bold"))
    if len(view.breakers) > room:
        rows.add_row(f"and {len(view.breakers) - room} more", "")
    why = [Text(describe(view.breakers[0].reason))] if len(view.breakers) == 1 else []
    return _panel("Breakers: no entries", Group(rows, *why), border="red")


def decisions(view: BotView) -> Panel:
    """Return the last decisions with their reasons, newest first."""
    rows = _list(3)
    for end_ms, action, reason in view.decisions:
        word = Text(ACTION_WORDS[Action(action)], ACTION_STYLES[Action(action)])
        rows.add_row(moment(end_ms, "%m-%d %H:%M"), word, describe(reason))
    return _panel("Decisions", rows if view.decisions else Text("no bar has closed yet", "dim"))


def trades(view: BotView) -> Panel:
    """Return the last closed trades, newest first."""
    rows = _list(5)
    for trade in view.trades:
        result = Text(money(trade.pnl_minor, view.money_digits, signed=True), _sign_style(trade.pnl_minor))
        path = f"{price(trade.entry_px, view.digits)} to {price(trade.exit_px, view.digits)}"
        when = moment(trade.exit_ms, "%m-%d %H:%M")
        rows.add_row(when, side(trade.side), path, result, describe(trade.exit_reason))
    panel = _panel("Trades", rows if view.trades else Text("none closed yet", "dim"))
    panel.subtitle, panel.subtitle_align = "Ctrl-C stops in order", "right"
    return panel


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g}%" if basis_points else "off"


def _list(columns: int) -> Table:
    """Return rows that begin with a time and end with a sentence."""
    rows = Table.grid(padding=(0, 1), expand=True)
    for place in range(columns):
        last = place == columns - 1
        rows.add_column(no_wrap=True, ratio=1 if last else None, overflow="ellipsis", style="" if place else "dim")
    return rows


def _sign_style(number: float) -> str:
    return "green" if number > 0 else "red" if number < 0 else ""


def _rows() -> Table:
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(no_wrap=True, style="dim")
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    return rows


def _row(*cells: RenderableType) -> Table:
    """Return ``cells`` side by side; gauges take the room that is left."""
    row = Table.grid(padding=(0, 1), expand=True)
    for cell in cells:
        stretches = isinstance(cell, Track | Fill)
        row.add_column(ratio=1 if stretches else None, no_wrap=True, overflow="ellipsis")
    row.add_row(*cells)
    return row


def _panel(title: str, content: RenderableType, border: str = "dim") -> Panel:
    return Panel(content, title=title, title_align="left", box=box.ROUNDED, border_style=border, padding=(0, 1))
