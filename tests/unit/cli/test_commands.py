"""What the commands make of their options, and how every failure ends: in this process, without the bot."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.unit.cli.views import START, TRADES

from palmbot.bootstrap.access import Access
from palmbot.cli.main import execute
from palmbot.errors import DivergenceError
from palmbot.model import BotView
from palmbot.settings import Environment, RunSettings, Settings
from palmbot.units import HOUR_MS


@dataclass(frozen=True)
class Output:
    """What the stand-in for the bot answers."""

    exit_code: int = 0

    def to_json(self) -> Mapping[str, Any]:
        return {"trades": [], "summary": {"trades": 0}}

    def text(self) -> str:
        return "no trades"


class Bot(ModuleType):
    """Stands in for the wiring of `palmbot.bootstrap`: remembers the settings, and does what the test says."""

    def __init__(self) -> None:
        super().__init__("palmbot.bootstrap")
        self.settings: Settings | None = None
        self.access: Access | None = None
        self.out: Path | None = None
        self.failure: Exception | None = None
        self.exit_code = 0
        self.views: tuple[BotView, ...] = ()
        self.watched = False
        self.cold = False

    def is_cold(self) -> bool:
        return self.cold

    def run_backtest(self, settings: Settings, out: Path | None, progress: Callable[[str, float], None]) -> Output:
        self.settings, self.out = settings, out
        progress("replaying", 0.5)
        if self.failure is not None:
            raise self.failure
        return Output()

    def run_bot(
        self,
        settings: Settings,
        on_view: Callable[[BotView], None] | None,
        access: Access | None,
        on_note: Callable[[str], None],
    ) -> Output:
        self.settings, self.access = settings, access
        on_note("a note")
        self.watched = on_view is not None
        if on_view is not None:
            for view in self.views:
                on_view(view)
        return Output(self.exit_code)


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bot:
    stand_in = Bot()
    for part in ("bot", "replay", "warmth"):
        monkeypatch.setitem(sys.modules, f"palmbot.bootstrap.{part}", stand_in)
    monkeypatch.chdir(tmp_path)
    for name in ("PALMBOT_PROFILE", "PALMBOT_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return stand_in


def told(bot: Bot) -> Settings:
    assert bot.settings is not None
    return bot.settings


def test_backtest_hands_over_settings_and_folder(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bars.csv").touch()
    Path("moods.csv").touch()
    words = (
        "backtest --data bars.csv --sentiment moods.csv --profile rsi_trend --set rsi_high=66 --balance 5000 --out o"
    )
    assert execute([*words.split(), "--set", "data.period=1h"]) == 0
    settings = told(bot)
    assert (settings.data.file, settings.data.sentiment_file) == (Path("bars.csv"), Path("moods.csv"))
    assert (settings.profile, settings.params.rsi_high) == ("rsi_trend", 66.0)
    assert (settings.balance_minor, settings.data.period_ms, bot.out) == (500_000, HOUR_MS, Path("o"))
    assert capsys.readouterr().out == "no trades\n"


def test_json_is_one_object_on_stdout(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["backtest", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"trades": [], "summary": {"trades": 0}}
    assert captured.err == ""
    assert bot.out is None


def test_run_takes_all_of_its_options(bot: Bot) -> None:
    words = "run --env paper --speed max --for 10m --host 0.0.0.0 --port 9000 --no-web --i-know-this-is-noise"
    assert execute(words.split()) == 0
    given = {"host": "0.0.0.0", "port": 9_000, "web": False, "accepts_noise": True}  # noqa: S104 - a value
    expected = RunSettings(speed=None, for_ms=600_000, **given)  # type: ignore[arg-type]
    assert told(bot).run == expected
    assert execute(["run"]) == 0
    assert told(bot).run == RunSettings()
    assert execute(["run", "--resume", "."]) == 0
    assert told(bot).run.resume_dir == Path()


def test_the_environment_and_the_file_reach_the_command(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALMBOT_RUN__SEED", "7")
    Path("palmbot.toml").write_text("[bot]\nbalance = 777\n")
    assert execute(["run"]) == 0
    assert (told(bot).run.seed, told(bot).balance_minor) == (7, 77_700)
    Path("other.toml").write_text("[bot]\nbalance = 888\n")
    assert execute(["run", "--config", "other.toml"]) == 0
    assert told(bot).balance_minor == 88_800


@pytest.mark.parametrize("words", ["run", "backtest"])
def test_compiling_is_announced_on_stderr(bot: Bot, capsys: pytest.CaptureFixture[str], words: str) -> None:
    bot.cold = True
    assert execute([words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("Compiling the decision core")
    json.loads(captured.out)


def test_a_runs_exit_code_is_the_commands(bot: Bot) -> None:
    bot.exit_code = 1
    assert execute(["run"]) == 1


def test_off_a_terminal_a_run_writes_plain_lines(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    after = {name: getattr(START, name) for name in START.__dataclass_fields__} | {
        "trades": TRADES[:1],
        "trades_count": 1,
    }
    bot.views = (START, BotView(**after))
    assert execute(["run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "trade long 0.52 lot" in lines[0]
    assert lines[1] == "no trades"


def test_with_json_a_run_is_silent_and_with_v_its_lines_are_on_stderr(
    bot: Bot, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.views = (START,)
    assert execute(["run", "--json"]) == 0
    assert not bot.watched
    assert execute(["run", "--json", "-v"]) == 0
    assert bot.watched
    for line in capsys.readouterr().out.splitlines():
        json.loads(line)


@pytest.mark.parametrize("environment", ["demo", "live"])
def test_a_broker_is_refused_before_anything_starts_unless_the_run_is_dry(
    bot: Bot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    assert execute(["run", "--env", environment]) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("ORDERS_NOT_ALLOWED: ")
    assert len(captured.err.splitlines()) == 2
    assert bot.settings is None
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"CTRADER_{name}_{environment.upper()}", "app")
    monkeypatch.delenv(f"CTRADER_EXCHANGE_{environment.upper()}", raising=False)
    assert execute(["run", "--env", environment, "--dry-run"]) == 0
    assert told(bot).run == RunSettings(environment=Environment(environment), dry_run=True)
    assert bot.access is not None
    assert bot.access.credentials.environment == environment
    assert capsys.readouterr().err == "a note\n"


def test_a_run_on_paper_needs_no_access_and_a_dry_one_at_an_exchange_neither(bot: Bot) -> None:
    assert execute(["run"]) == 0
    assert (bot.access, told(bot).run.dry_run) == (None, False)
    Path("ready.json").touch()
    assert execute(["run", "--exchange", "ready.json", "--dry-run"]) == 0
    assert (bot.access, told(bot).run.dry_run) == (None, True)


def test_a_failure_is_its_code_and_one_line(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    bot.failure = DivergenceError("PARITY_BROKEN", "Read the first difference.", bar=5)
    assert execute(["backtest"]) == 4
    captured = capsys.readouterr()
    assert captured.err == "PARITY_BROKEN: bar=5\nRead the first difference.\n"
    assert captured.out == ""


def test_a_failure_with_json_is_also_an_object_on_stdout(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    bot.failure = DivergenceError("PARITY_BROKEN", "Read the first difference.", file=Path("a.csv"))
    assert execute(["backtest", "--json"]) == 4
    error = {"code": "PARITY_BROKEN", "todo": "Read the first difference.", "facts": {"file": "a.csv"}}
    assert json.loads(capsys.readouterr().out) == {"error": error}


def test_a_bug_is_one_line_and_its_traceback_only_with_v(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    bot.failure = ZeroDivisionError("by zero")
    assert execute(["backtest"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == "UNEXPECTED: error=ZeroDivisionError message='by zero'"
    assert "Traceback" not in captured.err
    assert "-v" in captured.err
    assert execute(["backtest", "-v"]) == 1
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert "test_commands.py" in captured.err
    assert execute(["backtest", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "UNEXPECTED"


def test_ctrl_c_ends_with_130(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_given: object) -> Output:
        raise KeyboardInterrupt

    monkeypatch.setattr(bot, "run_backtest", interrupted)
    assert execute(["backtest"]) == 130


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["backtest", "--nope"], "palmbot backtest"),
        (["nope"], "palmbot"),
        (["data"], "palmbot data"),
        (["data", "check"], "palmbot data check"),
    ],
)
def test_wrong_words_end_with_2_and_say_where_help_is(
    bot: Bot, capsys: pytest.CaptureFixture[str], words: list[str], where: str
) -> None:
    assert execute(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("BAD_USAGE: message=")
    assert captured.err.splitlines()[-1] == f"`{where} --help` shows what is possible."
    assert execute([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "BAD_USAGE"
    assert bot.settings is None


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 0
    assert "Usage: palmbot" in capsys.readouterr().out


def test_every_command_takes_json_config_and_v(capsys: pytest.CaptureFixture[str]) -> None:
    commands = (
        "run",
        "backtest",
        "data import",
        "data check",
        "data list",
        "config init",
        "config show",
        "config schema",
    )
    for words in commands:
        assert execute([*words.split(), "--help"]) == 0
        text = capsys.readouterr().out
        assert all(option in text for option in ("--json", "--config F", "-v, --verbose"))


@pytest.mark.parametrize(
    ("toml", "words", "code"),
    [
        ("[bot\n", "config show", "BAD_TOML"),
        ("[bot]\nprofil = 'x'\n", "config show", "UNKNOWN_SETTING"),
        ("", "config show --set rsi_low=abc", "BAD_NUMBER"),
        ("", "config show --set rsi_lo=5", "UNKNOWN_SETTING"),
        ("", "config show --set rsi_low", "BAD_SET"),
        ("", "config show --profile nope", "UNKNOWN_PROFILE"),
        ("", "config show --symbol nope", "UNKNOWN_SYMBOL"),
        ("", "config show --config nope.toml", "FILE_NOT_FOUND"),
        ("", "run --for ten", "BAD_DURATION"),
        ("", "run --port 99999", "OUT_OF_RANGE"),
        ("", "run --data palmbot.toml --resume .", "CONFLICTING_SETTINGS"),
        ("", "run --set cooldown=10m", "COOLDOWN_TOO_SHORT"),
        ("", "backtest --data nope.csv", "FILE_NOT_FOUND"),
        ("", "backtest --params nope.json", "FILE_NOT_FOUND"),
        ("", "data check nope.csv", "DATA_"),
        ("", "data import nope.csv", "DATA_"),
        ("", "backtest --nope", "BAD_USAGE"),
    ],
)
def test_bad_input_is_one_clear_error_with_exit_code_2(
    bot: Bot, capsys: pytest.CaptureFixture[str], toml: str, words: str, code: str
) -> None:
    Path("palmbot.toml").write_text(toml)
    assert execute(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert bot.settings is None
    first, second = captured.err.splitlines()
    assert first.startswith(code)
    assert second.endswith((".", "?"))


def test_config_show_is_a_table_of_names_values_and_places(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["config", "show", "--set", "tp=3%"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["profile.tp", "3%", "--set", "tp"] in rows
    assert ["profile.sl", "1.5%", "built", "in"] in rows
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert bot.settings is None
