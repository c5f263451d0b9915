"""What time alone charges to open positions: swaps, the fee of accounts without swaps, rolls (PARITY 46-47)."""

from __future__ import annotations

from dataclasses import replace

from palmbot.core import fills
from palmbot.exchange.charges import Stake, rollover_minor, swap_minor
from palmbot.exchange.floor import Floor
from palmbot.exchange.held import Held
from palmbot.exchange.pit import Pit
from palmbot.exchange.rates import Rates
from palmbot.exchange.values import Report
from palmbot.model import Execution


def charge(floor: Floor, pit: Pit) -> None:
    """Charge what is due in a pit now, on its last tick, and go on to what is due next."""
    rates = floor.rates(pit)
    for held in tuple(pit.positions.values()):
        accrue(floor, held, _amount(floor, pit, held, rates))
    pit.passed()


def accrue(floor: Floor, held: Held, amount_minor: int) -> None:
    """Let a charge accrue in a position; there is nothing to tell where it is 0."""
    if amount_minor == 0:
        return
    held = floor.hold(replace(held, swap_minor=held.swap_minor + amount_minor, updated_ms=floor.now_ms))
    told = Report(Execution.SWAP, held.account_id, floor.now_ms, position=held.view(), server_made=True)
    floor.told.append(told)


def _amount(floor: Floor, pit: Pit, held: Held, rates: Rates) -> int:
    """Return what is due now of one position."""
    stake = Stake(held.side, held.volume_cu, held.open_ms)
    is_swap_free = floor.accounts[held.account_id].terms.is_swap_free
    if pit.due_ms == pit.swap_ms:
        bid_px = floor.last(held.symbol_id).bid_px
        return 0 if is_swap_free else int(swap_minor(pit.listing, stake, bid_px, rates, pit.due_ms))
    if pit.due_ms == pit.rollover_ms:
        return int(rollover_minor(pit.listing, stake, rates, pit.due_ms)) if is_swap_free else 0
    core, gap_px = pit.listing.spec.core, pit.rolls[pit.roll][1]
    return int(fills.roll_minor(core, held.side, gap_px, held.volume_cu, rates.quote_e8))
