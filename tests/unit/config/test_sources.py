"""Files and variables that are wrong: one error each, with its place and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.sources_at import refusal, settings

from palmbot.config.sources import read_dotenv
from palmbot.errors import ConfigError


def test_a_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[bot]\nbalance = 5000\nprofile = "rsi_trend\n')
    assert error.code == "BAD_TOML"
    assert error.facts["file"] == str(tmp_path / "palmbot.toml")
    assert error.facts["line"] == "3"


def test_a_syntax_error_at_the_end_names_the_last_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[bot]\nbalance =")
    assert (error.code, error.facts["line"]) == ("BAD_TOML", 2)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "palmbot.toml").write_bytes(b"\xff\xfe[bot]")
    assert refusal(tmp_path).code == "FILE_NOT_READABLE"


def test_a_missing_configuration_file_is_refused_when_it_was_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, config_file=tmp_path / "nope.toml")
    assert (error.code, error.facts) == ("FILE_NOT_FOUND", {"file": str(tmp_path / "nope.toml")})


@pytest.mark.parametrize(
    ("toml", "setting", "advice"),
    [
        ("[bot]\nprofil = 'x'\n", "profil", "Did you mean profile?"),
        ("[breakers]\ndaily_los = '5%'\n", "daily_los", "Did you mean daily_loss or daily_loss_bp?"),
        ("[profile.mine]\nrsi_lo = 5\n", "rsi_lo", "Did you mean rsi_low"),
        ("[instrument.mine]\nspred = 5\n", "spred", "Did you mean spread"),
        ("[breaker]\nspike = '3%'\n", "breaker", "Did you mean [breakers]?"),
        ("balance = 5\n", "balance", "Every setting is in one of the tables [bot], [data]"),
        ("profile = 'rsi_trend'\n", "profile", "Every setting is in one of the tables"),
        ("[profile]\nrsi_low = 25\n", "profile.rsi_low", "Write it under [profile.NAME]."),
    ],
)
def test_an_unknown_setting_names_its_line_and_the_closest(
    tmp_path: Path, toml: str, setting: str, advice: str
) -> None:
    error = refusal(tmp_path, toml)
    assert (error.code, error.facts["setting"]) == ("UNKNOWN_SETTING", setting)
    assert error.todo.startswith(advice)
    line = 1 if setting in {"breaker", "balance", "profile"} else 2
    assert error.facts["source"] == f"{tmp_path / 'palmbot.toml'}:{line}"


@pytest.mark.parametrize(
    ("sets", "closest"),
    [
        ("rsi_lo=25", "rsi_low"),
        ("data.perod=1h", "data.period"),
        ("profile.daily_loss=5%", "breakers.daily_loss"),
        ("instrument.palm_oil.spread=3", "instrument.spread"),
        ("sentiment=x.csv", "data.sentiment"),
    ],
)
def test_an_unknown_name_after_set_names_the_closest(tmp_path: Path, sets: str, closest: str) -> None:
    error = refusal(tmp_path, sets=(sets,))
    assert error.code == "UNKNOWN_SETTING"
    assert closest in error.todo


def test_the_line_of_a_setting_is_that_of_its_own_table(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[data]\nperiod = '1h'\n[run]\ndata = 5\n")
    assert error.facts["source"] == f"{tmp_path / 'palmbot.toml'}:4"


def test_a_name_like_no_other_is_sent_to_the_list(tmp_path: Path) -> None:
    assert refusal(tmp_path, sets=("qqq=1",)).todo == "`palmbot config schema` lists every setting."


@pytest.mark.parametrize(
    ("toml", "code"),
    [
        ("[bot]\nbalance = 'many'\n", "BAD_NUMBER"),
        ("[bot]\nbalance = -5\n", "OUT_OF_RANGE"),
        ("[bot]\nbalance = nan\n", "BAD_NUMBER"),
        ("[bot]\nbalance = {a = 1}\n", "BAD_TEXT"),
        ("[profile.unused]\nsl = 1.5\n", "BAD_PERCENT"),
        ("[profile.unused]\nrsi_low = 101\n", "OUT_OF_RANGE"),
        ("[instrument.unused]\nquote_currency = 'ringgit'\n", "BAD_TEXT"),
        ("[instrument.unused]\nsession = ['Mon 10:00']\n", "BAD_SESSION"),
        ("[breakers]\ncooldown = 4\n", "BAD_DURATION"),
        ("[run]\nenv = 'production'\n", "BAD_CHOICE"),
        ("[data]\nfile = 'nope.csv'\n", "FILE_NOT_FOUND"),
    ],
)
def test_a_wrong_value_names_its_line_also_in_a_table_that_is_not_used(tmp_path: Path, toml: str, code: str) -> None:
    error = refusal(tmp_path, toml)
    assert error.code == code
    assert error.facts["source"] == f"{tmp_path / 'palmbot.toml'}:2"


def test_a_setting_written_twice_under_two_names_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[profile.mine]\nsl = '1%'\nsl_ppm = 20000\n")
    file = tmp_path / "palmbot.toml"
    assert (error.code, error.facts["source"], error.facts["also"]) == ("SETTING_TWICE", f"{file}:3", f"{file}:2")


def test_lists_flags_dates_and_numbers_of_toml_are_understood(tmp_path: Path) -> None:
    toml = """
    [run]
    web = false
    [instrument.palm_oil]
    session = ["Mon-Fri 09:00-17:00"]
    holidays = [2026-01-01, "2026-02-17"]
    slippage = 0.1
    """
    found = settings(tmp_path, toml)
    assert found.run.web is False
    assert len(found.instrument.session.intervals) == 5
    assert sorted(day.isoformat() for day in found.instrument.session.holidays) == ["2026-01-01", "2026-02-17"]
    assert found.instrument.core.slippage == 10_000  # 0.1 exactly, not its nearest binary number


def test_a_variable_that_is_no_setting_is_refused_by_name_alone(tmp_path: Path) -> None:
    error = refusal(tmp_path, environ={"PALMBOT_PASWORD": "hunter2"})
    assert (error.code, error.facts["setting"]) == ("UNKNOWN_SETTING", "pasword")
    assert "hunter2" not in str(error)


def test_secrets_foreign_and_empty_variables_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "PALMBOT_DASHBOARD_PASSWORD": "x",
        "PALMBOT_TOKEN_KEY": "x",
        "PALMBOT_LIVE_ACCOUNT": "1",
        "PALMBOT_BALANCE": "",
        "PATH": "x",
        "CTRADER_CLIENT_ID_DEMO": "x",
    }
    assert settings(tmp_path, environ=environ).balance_minor == 10_000_000


def test_a_dotenv_file_is_read_with_quotes_comments_and_export(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n\nexport A=1\nB = 'two # words'  # more\nC=\"three\"\nD=four # rest\nE=\nF=a=b\n"
    )
    expected = {"A": "1", "B": "two # words", "C": "three", "D": "four", "E": "", "F": "a=b"}
    assert read_dotenv(tmp_path / ".env") == expected


def test_a_line_of_dotenv_that_is_no_assignment_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nsecret words\n")
    with pytest.raises(ConfigError) as refused:
        read_dotenv(tmp_path / ".env")
    assert (refused.value.code, refused.value.facts["line"]) == ("BAD_DOTENV", 2)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("written", ["rsi_low", "=25", ""])
def test_set_without_name_or_value_is_refused(tmp_path: Path, written: str) -> None:
    assert refusal(tmp_path, sets=(written,)).code == "BAD_SET"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "BAD_JSON"),
        ("[]", "BAD_PARAMS_FILE"),
        ("{}", "BAD_PARAMS_FILE"),
        ('{"params": 5}', "BAD_PARAMS_FILE"),
        ('{"profile": 5, "params": {}}', "BAD_PARAMS_FILE"),
        ('{"params": {"rsi_lo": 5}}', "UNKNOWN_SETTING"),
        ('{"params": {"rsi_low": null}}', "BAD_TEXT"),
        ('{"params": {"rsi_low": 500}}', "OUT_OF_RANGE"),
        ('{"params": {"rsi_low": NaN}}', "BAD_NUMBER"),
        ('{"profile": "nope", "params": {}}', "UNKNOWN_PROFILE"),
    ],
)
def test_a_wrong_parameters_file_is_refused(tmp_path: Path, text: str, code: str) -> None:
    best = tmp_path / "best.json"
    best.write_text(text)
    assert refusal(tmp_path, params_file=best).code == code


def test_a_missing_parameters_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, params_file=tmp_path / "nope.json").code == "FILE_NOT_FOUND"


def test_options_are_checked_like_everything_else(tmp_path: Path) -> None:
    error = refusal(tmp_path, options={"--for": "10 minutes"})
    assert (error.code, error.facts["source"]) == ("BAD_DURATION", "--for")
    assert refusal(tmp_path, options={"--balance": "lots"}).code == "BAD_NUMBER"
    assert refusal(tmp_path, options={"--data": "nope.csv"}).code == "FILE_NOT_FOUND"
