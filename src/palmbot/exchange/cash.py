"""Changes of a balance that are no trades: deposits, withdrawals, charges (sheet 6.8)."""

from __future__ import annotations

from dataclasses import replace

from palmbot.exchange.account import Account
from palmbot.exchange.charges import gsl_charge_minor
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held
from palmbot.exchange.values import CashKind, CashView, Report
from palmbot.model import Execution


def book(floor: Floor, account: Account, kind: CashKind, delta_minor: int, note: str = "") -> None:
    """Change the balance, and tell it."""
    floor.book(account, delta_minor)
    cash = CashView(
        cash_id=floor.cash_id(),
        account_id=account.account_id,
        kind=kind,
        delta_minor=delta_minor,
        balance_minor=account.balance_minor,
        balance_version=account.balance_version,
        equity_minor=floor.equity_minor(account),
        ts_ms=floor.now_ms,
        note=note,
    )
    floor.changes.cash.append(cash)
    floor.told.append(Report(Execution.DEPOSIT_WITHDRAW, account.account_id, floor.now_ms, cash=cash, server_made=True))


def charge_guarantee(floor: Floor, held: Held) -> Held:
    """Charge once for the guarantee of a position's stop (cash flow type 17)."""
    pit = floor.pits[held.symbol_id]
    charge = gsl_charge_minor(pit.listing, held.volume_cu, floor.rates(pit))
    held = floor.hold(replace(held, is_gsl_charged=True))
    if charge:
        note = f"guaranteed stop loss of position {held.position_id}"
        book(floor, floor.accounts[held.account_id], CashKind.GSL_CHARGE, charge, note)
    return held
