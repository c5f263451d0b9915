"""Where two instruments differ, in the words of the settings, so that what is shown can be written into a file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from palmbot.config.instrument import RATE_OF_UNIT, values_of
from palmbot.config.keys import INSTRUMENT
from palmbot.config.values import plain
from palmbot.core.types import CommissionKind
from palmbot.instruments import InstrumentSpec
from palmbot.model import Difference
from palmbot.protocol.statement import Reading
from palmbot.settings import COST_SETTINGS

DATES_MAX = 40  # that are written out


def differences(configured: InstrumentSpec, reading: Reading) -> tuple[Difference, ...]:
    """Return the settings that the broker states otherwise than ``configured``, and those that a remark is about."""
    ours, theirs = _shown(configured), _shown(reading.spec)
    found = []
    for leaf, text in theirs.items():
        remark = reading.remarks.get(leaf)
        if text != ours[leaf] or (leaf == "holidays" and configured.session.holidays != reading.spec.session.holidays):
            found.append(Difference(leaf, ours[leaf], text if remark is None else f"{text} ({remark})"))
        elif remark is not None:
            found.append(Difference(leaf, text, remark))
    return tuple(found)


def costs_of(spec: InstrumentSpec) -> dict[str, str]:
    """Return the settings of ``spec`` that say what trading costs, as text, by leaf."""
    shown = _shown(spec)
    return {leaf: shown[leaf] for leaf in COST_SETTINGS}


def _shown(spec: InstrumentSpec) -> dict[str, str]:
    """Return the settings of ``spec`` as text, by leaf."""
    values: dict[str, Any] = values_of(spec)
    shown = {key.leaf: key.kind.show(values[key.leaf]) for key in INSTRUMENT if key.leaf in values}
    core, holidays = spec.core, sorted(spec.session.holidays)
    if len(holidays) > DATES_MAX:
        shown["holidays"] = f"{len(holidays)} dates from {holidays[0]} to {holidays[-1]}"
    if core.commission_kind == CommissionKind.PER_LOT_DEPOSIT and spec.quote_currency != spec.deposit_currency:
        rate = plain(Decimal(core.commission_rate) / RATE_OF_UNIT)
        shown["commission"] = f"{rate} {spec.deposit_currency} a lot"  # no setting says that
    return shown
