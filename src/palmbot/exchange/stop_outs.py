"""When equity runs short: margin calls to warn, stop-outs to end it (sheet 6.7)."""

from __future__ import annotations

from dataclasses import replace

from palmbot.exchange import cash, matching
from palmbot.exchange.account import Account, leg_of
from palmbot.exchange.floor import Floor
from palmbot.exchange.margin import Leg, StopOut, due_calls, is_below, stop_out
from palmbot.exchange.values import CashKind, MarginCalled, NewOrder
from palmbot.model import OrderKind


def watch(floor: Floor, account: Account) -> None:
    """Look at the margin level of an account after a tick; warn, and close positions where it is too low."""
    used, equity = account.used_margin_minor, floor.equity_minor(account)
    if equity * 100 > account.watched_pct * used:
        return
    _call(floor, account, equity, used)
    if not is_below(equity, used, account.terms.stop_out_pct):
        return
    while (found := _next(floor, account)) is not None:
        before = account.positions[found.position_id]
        _close(floor, account, found)
        after = account.positions.get(found.position_id)
        if after is not None and after.volume_cu == before.volume_cu:
            return  # nobody takes it now


def forgive(floor: Floor, account: Account) -> None:
    """Make a balance below zero good where nothing is open any more, whatever closed it: a stop, a request, a lack."""
    if account.balance_minor < 0 and not account.open and floor.conduct.knobs.debt_is_forgiven:
        cash.book(floor, account, CashKind.NEGATIVE_BALANCE_PROTECTION, -account.balance_minor)


def _call(floor: Floor, account: Account, equity_minor: int, used_minor: int) -> None:
    told, after = due_calls(account.margin_calls, equity_minor, used_minor, floor.now_ms)
    if not told:
        return
    account.margin_calls = after
    floor.note(account)
    for call in told:
        floor.told.append(MarginCalled(account.account_id, call.kind, call.threshold_pct, floor.now_ms))


def _next(floor: Floor, account: Account) -> StopOut | None:
    """Return what to close next; None where it can wait, or has to because its market is closed."""
    found = stop_out(_legs(floor, account), floor.equity_minor(account), account.terms)
    if found is None or not floor.pits[account.positions[found.position_id].symbol_id].is_open(floor.now_ms):
        return None
    return found


def _legs(floor: Floor, account: Account) -> list[Leg]:
    legs = []
    for held in account.open:
        core = floor.pits[held.symbol_id].listing.spec.core
        legs.append(leg_of(held, floor.net_minor(held), core.volume_step_cu, core.volume_min_cu))
    return legs


def _close(floor: Floor, account: Account, found: StopOut) -> None:
    """Close a position, or a part of it, at market: an order that nobody asked for, and no delay."""
    held = account.positions[found.position_id]
    if held.closing_id:
        held = floor.hold(replace(held, closing_id=0))
    order = NewOrder(held.symbol_id, OrderKind.MARKET, -held.side, found.volume_cu, position_id=held.position_id)
    matching.close_out(floor, account, order, held)
