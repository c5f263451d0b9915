"""Which assignment wins, what the settings become, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.unit.config.sources_at import refusal, settings, sources

from palmbot.config import resolve
from palmbot.config.keys import ANYWHERE, AXES, BOT, DATA, FIELDS, INSTRUMENT, KEYS, OPTIMIZE, PARAMS, RUN
from palmbot.core.types import Params, Profile, StopKind
from palmbot.instruments import PALM_OIL
from palmbot.settings import BUILT_IN_PROFILES, DataSettings, Environment, OptimizeSettings, RunSettings
from palmbot.units import DAY_MS, HOUR_MS


def test_nothing_said_gives_what_is_built_in(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert found.params == Params()
    assert found.instrument == PALM_OIL
    assert found.data == DataSettings()
    assert found.run == RunSettings()
    assert found.profile == "rsi_sentiment"
    assert found.balance_minor == 10_000_000
    assert found.data_dir == Path("palmbot-data")
    assert found.explicit == frozenset()


def test_every_built_in_profile_passes_its_own_checks_and_reads_back_unchanged(tmp_path: Path) -> None:
    for name, params in BUILT_IN_PROFILES.items():
        found = settings(tmp_path, options={"--profile": name})
        assert found.params == params
        assert [type(value) for value in found.params] == [type(value) for value in Params()]


def test_rsi_trend_buys_strength_with_stops_in_atrs_and_no_shorts() -> None:
    trend = BUILT_IN_PROFILES["rsi_trend"]
    assert (trend.profile, trend.stop_kind, trend.allow_short) == (Profile.RSI_TREND, StopKind.ATR, 0)
    assert (trend.rsi_high, trend.sl_atr, trend.tp_atr, trend.trail_atr, trend.max_bars) == (60, 4, 8, 4, 40)


def test_every_field_has_a_setting() -> None:
    assert {key.field for key in PARAMS} == set(Params._fields)
    assert {key.field for key in DATA} == {field.name for field in fields(DataSettings)} - {"related"}
    assert {key.field for key in OPTIMIZE} == {field.name for field in fields(OptimizeSettings)} - {"axes", "fixed"}
    assert {key.field for key in AXES.values()} == set(Params._fields) - {"profile"}
    # Whether orders go nowhere, and whether noise may be traded live, is said on the command line alone: no file and no
    # variable can say otherwise.
    by_command = {"dry_run", "accepts_noise"}
    assert {key.field for key in RUN} == {field.name for field in fields(RunSettings)} - by_command


def test_no_two_settings_share_a_name() -> None:
    assert len({key.name for key in KEYS}) == len(KEYS)
    leaves = [key.leaf for key in (*PARAMS, *BOT)]
    assert len(set(leaves)) == len(leaves)
    assert all(ANYWHERE[key.name] is key for key in KEYS)
    assert all(FIELDS[key.field].name == key.name for key in PARAMS)


def test_each_place_is_stronger_than_the_one_before(tmp_path: Path) -> None:
    best = tmp_path / "best.json"
    best.write_text('{"params": {"rsi_low": 26}}')
    places: list[tuple[dict[str, Any], int]] = [
        ({}, 30),
        ({"toml": "[profile.rsi_sentiment]\nrsi_low = 29\n"}, 29),
        ({"dotenv": "PALMBOT_RSI_LOW=28\n"}, 28),
        ({"environ": {"PALMBOT_PROFILE__RSI_LOW": "27"}}, 27),
        ({"params_file": best}, 26),
        ({"sets": ("rsi_low=25",)}, 25),
        ({"sets": ("rsi_low=25", "profile.rsi_low=24")}, 24),
    ]
    said: dict[str, Any] = {}
    for place, expected in places:
        said |= place
        (tmp_path / ".env").write_text(said.get("dotenv", ""))
        given = {name: value for name, value in said.items() if name != "dotenv"}
        assert settings(tmp_path, **given).params.rsi_low == expected


def test_an_option_is_stronger_than_the_environment_and_weaker_than_set(tmp_path: Path) -> None:
    environ = {"PALMBOT_BALANCE": "1000"}
    options = {"--balance": "2000"}
    assert settings(tmp_path, environ=environ).balance_minor == 100_000
    assert settings(tmp_path, environ=environ, options=options).balance_minor == 200_000
    assert settings(tmp_path, environ=environ, options=options, sets=("balance=3000.55",)).balance_minor == 300_055


def test_a_profile_of_ones_own_changes_its_base(tmp_path: Path) -> None:
    toml = """
    [breakers]
    daily_loss = "4%"
    losses_max = 5
    [profile.mine]
    base = "rsi_trend"
    rsi_high = 65
    sl_atr = 3
    losses_max = 6
    """
    found = settings(tmp_path, toml, options={"--profile": "mine"})
    base = BUILT_IN_PROFILES["rsi_trend"]
    assert found.params == base._replace(rsi_high=65.0, sl_atr=3.0, losses_max=6, daily_loss_bp=400)
    assert found.profile == "mine"
    assert found.explicit == {"rsi_high", "sl_atr", "losses_max", "daily_loss_bp"}
    assert settings(tmp_path).params == Params()._replace(losses_max=5, daily_loss_bp=400)


def test_people_and_the_core_name_one_setting_in_their_own_units(tmp_path: Path) -> None:
    for said in ("sl=1%", "profile.sl=1%", "sl_ppm=10000"):
        assert settings(tmp_path, sets=(said,)).params.sl_ppm == 10_000
    for said in ("risk=1%", "sizing.risk=1%", "risk_fraction=0.01"):
        assert settings(tmp_path, sets=(said,)).params.risk_fraction == 0.01
    for said in ("cooldown=6h", "breakers.cooldown=6h", "cooldown_ms=21600000"):
        assert settings(tmp_path, sets=(said,)).params.cooldown_ms == 6 * HOUR_MS


def test_found_parameters_read_back_exactly(tmp_path: Path) -> None:
    found = Params(
        rsi_low=23.456789, sl_ppm=12_345, risk_fraction=0.0123, stop_kind=1, allow_short=0, margin_share=0.25
    )
    best = tmp_path / "best_params.json"
    best.write_text(json.dumps({"profile": "rsi_sentiment", "params": found._asdict(), "verdict": "NOISE"}))
    assert settings(tmp_path, params_file=best).params == found


def test_found_parameters_bring_their_profile(tmp_path: Path) -> None:
    best = tmp_path / "best.json"
    best.write_text('{"profile": "rsi_trend", "params": {"rsi_high": 70}}')
    found = settings(tmp_path, params_file=best)
    assert (found.profile, found.params.profile, found.params.rsi_high) == ("rsi_trend", Profile.RSI_TREND, 70.0)
    assert settings(tmp_path, params_file=best, options={"--profile": "rsi_trend"}).profile == "rsi_trend"
    error = refusal(tmp_path, params_file=best, options={"--profile": "rsi_sentiment"})
    assert error.code == "PROFILE_CONFLICT"


def test_the_data_and_run_settings_are_read_in_their_units(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").touch()
    toml = """
    [data]
    file = "bars.csv"
    period = "1d"
    adjustment = "additive"
    unknown_rolls = "ignore"
    time_zone = "Asia/Kuala_Lumpur"
    [run]
    env = "demo"
    speed = "max"
    for = "10m"
    port = 9000
    web = false
    """
    found = settings(tmp_path, toml)
    assert found.data == DataSettings(
        file=tmp_path / "bars.csv",
        period_ms=DAY_MS,
        adjustment="additive",
        unknown_rolls="ignore",
        time_zone="Asia/Kuala_Lumpur",
    )
    assert found.run == RunSettings(Environment.DEMO, None, 600_000, port=9_000, web=False)


def test_a_path_in_the_file_is_seen_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "bars.csv").touch()
    (tmp_path / "conf" / "other.toml").write_text('[data]\nfile = "bars.csv"\n[bot]\ndata_dir = "books"\n')
    found = settings(tmp_path, config_file=tmp_path / "conf" / "other.toml")
    assert found.data.file == tmp_path / "conf" / "bars.csv"
    assert found.data_dir == tmp_path / "conf" / "books"


def test_the_instruments_period_stands_for_data_and_generated_market(tmp_path: Path) -> None:
    toml = '[instrument.palm_oil]\nperiod = "1d"\n'
    found = settings(tmp_path, toml)
    assert (found.data.period_ms, found.run.period_ms) == (DAY_MS, DAY_MS)
    found = settings(tmp_path, toml, sets=("data.period=1h", "run.period=2h"))
    assert (found.data.period_ms, found.run.period_ms) == (HOUR_MS, 2 * HOUR_MS)


def test_every_setting_tells_where_it_was_said(tmp_path: Path) -> None:
    toml = "[bot]\nbalance = 5000\n\n[profile.rsi_sentiment]\nrsi_low = 29\n\n[instrument.palm_oil]\nlot = 10\n"
    (tmp_path / ".env").write_text("PALMBOT_RSI_HIGH=71\n")
    values = resolve(sources(tmp_path, toml, environ={"PALMBOT_DATA__ADJUSTMENT": "additive"}, sets=("tp=3%",))).values
    file = tmp_path / "palmbot.toml"
    assert {name: values[name].source for name in ("bot.balance", "profile.rsi_low", "instrument.lot")} == {
        "bot.balance": f"{file}:2",
        "profile.rsi_low": f"{file}:5",
        "instrument.lot": f"{file}:8",
    }
    assert values["profile.rsi_high"].source == ".env PALMBOT_RSI_HIGH"
    assert values["data.adjustment"].source == "environment PALMBOT_DATA__ADJUSTMENT"
    assert values["profile.tp"].source == "--set tp"
    assert values["instrument.digits"].source == "built in"


@pytest.mark.parametrize(
    ("sets", "code"),
    [
        (("rsi_low=70",), "BAD_THRESHOLDS"),
        (("rsi_low=71",), "BAD_THRESHOLDS"),
        (("sentiment_short=30",), "BAD_THRESHOLDS"),
        (("warmup_bars=14",), "WARMUP_TOO_SHORT"),
        (("rsi_period=300",), "WARMUP_TOO_SHORT"),
        (("atr_period=250",), "WARMUP_TOO_SHORT"),
        (("cooldown=59m",), "COOLDOWN_TOO_SHORT"),
        (("pause=30m",), "COOLDOWN_TOO_SHORT"),
        (("run.period=1d", "cooldown=4h"), "COOLDOWN_TOO_SHORT"),
        (("profile=rsi_sentimnt",), "UNKNOWN_PROFILE"),
        (("symbol=SOYOIL",), "UNKNOWN_SYMBOL"),
        (("instrument.volume_step=0.02", "instrument.volume_min=0.03"), "BAD_VOLUMES"),
        (("instrument.volume_min=0.02", "instrument.volume_max=0.01"), "BAD_VOLUMES"),
        (("instrument.volume_step=0.0001",), "TOO_FINE"),
        (("instrument.spread=0.000001",), "TOO_FINE"),
        (("instrument.swap_long=-1%", "instrument.swap_short=0.5"), "BAD_SWAP"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path: Path, sets: tuple[str, ...], code: str) -> None:
    assert refusal(tmp_path, sets=sets).code == code


def test_an_unknown_profile_names_the_closest_and_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[profile.mine]\nbase = "rsi_trend"\n', options={"--profile": "rsi_trent"})
    assert error.todo == "Did you mean rsi_trend? Known are: rsi_sentiment, rsi_trend, mine."
    assert error.facts == {"profile": "'rsi_trent'", "source": "--profile"}


def test_an_unknown_symbol_names_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, options={"--symbol": "PALMOYL"})
    assert (error.code, error.todo) == ("UNKNOWN_SYMBOL", "Did you mean PALMOIL? Known are: palm_oil, PALMOIL.")


@pytest.mark.parametrize("base", ["", 'base = "rsi_trent"\n'])
def test_a_profile_without_a_known_base_is_refused(tmp_path: Path, base: str) -> None:
    error = refusal(tmp_path, f"[profile.mine]\n{base}rsi_low = 20\n", options={"--profile": "mine"})
    assert (error.code, error.facts["table"]) == ("UNKNOWN_BASE", "[profile.mine]")


def test_data_and_resume_exclude_each_other(tmp_path: Path) -> None:
    options = {"--data": __file__, "--resume": str(tmp_path)}
    assert refusal(tmp_path, options=options).code == "CONFLICTING_SETTINGS"
    assert settings(tmp_path, options={"--resume": str(tmp_path)}).run.resume_dir == tmp_path


@pytest.mark.parametrize("other", ["--data", "--resume"])
def test_an_exchange_elsewhere_brings_its_own_market(tmp_path: Path, other: str) -> None:
    options = {"--exchange": __file__, other: __file__ if other == "--data" else str(tmp_path)}
    error = refusal(tmp_path, options=options)
    assert (error.code, error.facts["exchange"]) == ("CONFLICTING_SETTINGS", "--exchange")
    assert settings(tmp_path, options={"--exchange": __file__}).run.exchange_file == Path(__file__)


def test_a_pause_is_checked_against_the_bars_once_they_are_known(tmp_path: Path) -> None:
    options = {"--data": __file__}
    found = settings(tmp_path, options=options, sets=("cooldown=5m",))
    assert found.explicit == {"cooldown_ms"}  # the file's period is the loader's to find
    error = refusal(tmp_path, options=options, sets=("cooldown=5m", "data.period=10m"))
    assert (error.code, error.facts["setting"]) == ("COOLDOWN_TOO_SHORT", "breakers.cooldown")


def test_an_instruments_settings_are_all_known(tmp_path: Path) -> None:
    values = resolve(sources(tmp_path)).values
    unset = {key.leaf for key in INSTRUMENT if key.name not in values}
    assert unset == {"period"}
