"""An instrument in the configuration becomes exactly the core's numbers, and those become its settings again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.unit.config.sources_at import refusal, settings

from palmbot.config.instrument import DEFAULTS, REQUIRED, instrument_of, values_of
from palmbot.config.keys import INSTRUMENT
from palmbot.core.types import CommissionKind, CostKind, SwapKind
from palmbot.instruments import PALM_OIL
from palmbot.units import HOUR_MS

BRENT = """
[instrument.brent]
symbol = "XBRUSD"
digits = 2
quote_currency = "USD"
lot = 100
leverage = 10
spread = 0.04
slippage = "0.01%"
commission = "0.005%"
"""


def test_palm_oil_becomes_settings_and_palm_oil_again() -> None:
    assert instrument_of("palm_oil", values_of(PALM_OIL)) == PALM_OIL


def test_an_instrument_of_ones_own_is_in_the_cores_units(tmp_path: Path) -> None:
    found = settings(tmp_path, BRENT, options={"--symbol": "XBRUSD"}).instrument
    core = found.core
    assert (found.name, found.symbol, found.digits, core.step_px) == ("brent", "XBRUSD", 2, 1_000)
    assert (found.quote_currency, found.deposit_currency, core.leverage) == ("USD", "USD", 10)
    assert (core.lot_cu, core.volume_step_cu, core.volume_min_cu, core.volume_max_cu) == (10_000, 100, 100, 10_000_000)
    assert (core.spread_kind, core.spread) == (CostKind.POINTS, 4_000)
    assert (core.slippage_kind, core.slippage) == (CostKind.PPM, 100)
    assert (core.commission_kind, core.commission_rate) == (CommissionKind.PERCENT_OF_VALUE, 500)
    assert found.session.intervals == ()
    assert instrument_of("brent", values_of(found)) == found


def test_every_setting_of_an_instrument_reaches_it(tmp_path: Path) -> None:
    toml = (
        BRENT
        + """
    time_zone = "Europe/London"
    session = ["Mon-Fri 01:00-23:00"]
    holidays = [2026-12-25]
    day_start = "22:00"
    deposit_currency = "MYR"
    money_digits = 4
    unit = "bbl"
    balance = 5000
    price_hint = 80
    roll_day = 20
    volume_step = 0.1
    volume_min = 0.2
    volume_max = 50
    commission_min = 1.25
    conversion_fee = "0.5%"
    sl_min = 0.1
    tp_min = 0.2
    swap_long = "-3.5%"
    swap_short = "1%"
    swap_time = "21:00"
    swap_period = "12h"
    swap_triple = "fri"
    """
    )
    everything = settings(tmp_path, toml, options={"--symbol": "brent"})
    found, core = everything.instrument, everything.instrument.core
    assert (found.time_zone, found.session.time_zone) == ("Europe/London", "Europe/London")
    assert found.session.holidays == {date(2026, 12, 25)}
    assert (found.day_start_ms, core.day_start_ms) == (22 * HOUR_MS, 22 * HOUR_MS)
    assert (found.deposit_currency, found.unit, found.price_hint, found.roll_day) == ("MYR", "bbl", 80, 20)
    assert (core.money_digits, everything.balance_minor) == (4, 50_000_000)
    assert (core.volume_step_cu, core.volume_min_cu, core.volume_max_cu) == (1_000, 2_000, 500_000)
    assert (core.commission_min_minor, core.conversion_fee_bp) == (12_500, 50)
    assert (core.sl_min_px, core.tp_min_px) == (10_000, 20_000)
    assert (core.swap_kind, core.swap_long, core.swap_short) == (SwapKind.PERCENT_PER_YEAR, -350_000, 100_000)
    assert (core.swap_time_ms, core.swap_period_ms, core.swap_triple_weekday) == (21 * HOUR_MS, 12 * HOUR_MS, 4)
    assert instrument_of("brent", values_of(found)) == found


def test_a_commission_in_points_follows_the_lot(tmp_path: Path) -> None:
    """One point of palm oil is one ringgit a tonne: 25 on a lot of 25 t, 10 on a lot of 10 t."""
    assert PALM_OIL.core.commission_rate == 25 * 10**8
    found = settings(tmp_path, "[instrument.palm_oil]\nlot = 10\n").instrument.core
    assert (found.commission_kind, found.commission_rate) == (CommissionKind.PER_LOT_QUOTE, 10 * 10**8)
    assert found.volume_step_cu == 10


def test_an_instrument_may_start_from_palm_oil(tmp_path: Path) -> None:
    toml = '[instrument.fcpo]\nbase = "palm_oil"\nsymbol = "FCPO"\nspread = 3\n'
    found = settings(tmp_path, toml, options={"--symbol": "FCPO"}).instrument
    assert (found.name, found.symbol) == ("fcpo", "FCPO")
    assert found.core == PALM_OIL.core._replace(spread=300_000)
    assert found.session == PALM_OIL.session


def test_an_instrument_without_base_says_what_it_misses(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[instrument.gold]\nsymbol = 'XAU'\nlot = 100\n", options={"--symbol": "gold"})
    assert error.code == "INSTRUMENT_INCOMPLETE"
    assert error.facts["missing"] == "digits,quote_currency,leverage,spread,slippage,commission"


def test_an_unknown_base_is_refused(tmp_path: Path) -> None:
    toml = "[instrument.fcpo]\nbase = 'palmoil'\n"
    assert refusal(tmp_path, toml, options={"--symbol": "fcpo"}).code == "UNKNOWN_BASE"


def test_every_setting_is_required_or_has_a_default() -> None:
    optional = {"period", "deposit_currency"}
    assert {key.leaf for key in INSTRUMENT} == {*REQUIRED, *DEFAULTS, *optional}


def test_costs_are_easily_said_in_percent(tmp_path: Path) -> None:
    sets = (
        "data.adjustment=proportional",
        "instrument.spread=0.05%",
        "instrument.slippage=0.0125%",
        "instrument.commission=0.025%",
    )
    core = settings(tmp_path, sets=sets).instrument.core
    assert (core.spread_kind, core.spread) == (CostKind.PPM, 500)
    assert (core.slippage_kind, core.slippage) == (CostKind.PPM, 125)
    assert (core.commission_kind, core.commission_rate) == (CommissionKind.PERCENT_OF_VALUE, 2_500)


@pytest.mark.parametrize(("digits", "step_px"), [(1, 10_000), (5, 1)])
def test_the_price_step_follows_the_digits(tmp_path: Path, digits: int, step_px: int) -> None:
    assert settings(tmp_path, sets=(f"instrument.digits={digits}",)).instrument.core.step_px == step_px


def test_swaps_in_points_are_charged_as_prices(tmp_path: Path) -> None:
    core = settings(tmp_path, sets=("instrument.swap_long=-0.25", "instrument.swap_short=0")).instrument.core
    assert (core.swap_kind, core.swap_long, core.swap_short) == (SwapKind.PRICE, -2_500_000_000, 0)


def test_a_cost_between_two_price_steps_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, sets=("instrument.digits=0", "instrument.slippage=0.5"))
    assert (error.code, error.facts["setting"]) == ("COST_OFF_GRID", "instrument.slippage")
    on_grid = settings(tmp_path, sets=("instrument.digits=1", "instrument.slippage=0.5"))
    assert on_grid.instrument.core.slippage == 50_000
