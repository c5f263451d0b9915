"""Where two instruments differ, in the words of the settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from palmbot.config import Sources, load_settings
from palmbot.config.terms import DATES_MAX, differences
from palmbot.core.types import CommissionKind
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.model import Difference
from palmbot.protocol.statement import Reading


def closed_in(*years: int) -> InstrumentSpec:
    days = frozenset(date(year, 1, 1) for year in years)
    return replace(PALM_OIL, session=replace(PALM_OIL.session, holidays=days))


def test_what_is_shown_as_the_brokers_can_be_written_into_a_file(tmp_path: Path) -> None:
    core = PALM_OIL.core._replace(leverage=7, swap_long=-123, swap_triple_weekday=-1, volume_min_cu=75)
    theirs = replace(PALM_OIL, core=core, digits=PALM_OIL.digits)
    found = differences(PALM_OIL, Reading(theirs))
    table = "\n".join(f'{each.name} = "{each.broker}"' for each in found)
    (tmp_path / "palmbot.toml").write_text(f"[instrument.palm_oil]\n{table}\n")
    assert load_settings(Sources(folder=tmp_path, environ={})).instrument == theirs


def test_a_remark_stands_beside_what_is_stated_or_in_its_place() -> None:
    theirs = replace(PALM_OIL, core=PALM_OIL.core._replace(leverage=7))
    found = differences(PALM_OIL, Reading(theirs, {"leverage": "rounded", "spread": "not stated"}))
    assert found == (Difference("leverage", "20", "7 (rounded)"), Difference("spread", "2", "not stated"))


def test_many_holidays_are_counted_and_never_taken_for_as_many_others() -> None:
    years = range(2026, 2027 + DATES_MAX)
    (found,) = differences(PALM_OIL, Reading(closed_in(*years)))
    assert found == Difference("holidays", "none", f"{len(years)} dates from 2026-01-01 to {years[-1]}-01-01")
    assert differences(closed_in(*years), Reading(closed_in(*years))) == ()
    days = closed_in(*years).session.holidays - {date(2031, 1, 1)} | {date(2031, 1, 2)}
    others = replace(PALM_OIL, session=replace(PALM_OIL.session, holidays=days))
    assert len(differences(closed_in(*years), Reading(others))) == 1


def test_a_commission_in_dollars_a_lot_is_said_as_it_is() -> None:
    core = PALM_OIL.core._replace(commission_kind=int(CommissionKind.PER_LOT_DEPOSIT), commission_rate=5 * 10**7)
    found = differences(PALM_OIL, Reading(replace(PALM_OIL, deposit_currency="USD", core=core)))
    assert Difference("commission", "1", "0.5 USD a lot") in found
