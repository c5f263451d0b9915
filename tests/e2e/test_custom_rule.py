"""An entry rule from a person's own file, by command: equal to the built-in one, refused where bad."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from tests.paper_bot import CALM, LIVELY, PALMBOT, PaperBot, market_file, sets

from palmbot.core import signals
from palmbot.core.types import Indicators, Params, Profile, Reason, Sentiment

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BARS = 400
DEF = "def entry(params, indicators, sentiment, decision_ms):"
DATA = ("--data", "bars.csv", "--sentiment", "sentiment.csv", "--set", "data.period=1h")
RULES = sets(*LIVELY, *CALM)
RAISES, NONSENSE = 7, 8  # periods of RSI
BUILT_IN = {"rsi_trend": Profile.RSI_TREND, "rsi_sentiment": Profile.RSI_SENTIMENT}
EITHER = f"""
import numba
from palmbot.core.types import StopKind

ATR = int(StopKind.ATR)

{DEF}
    if params.rsi_period == {RAISES}:
        raise ValueError(7)
    if params.rsi_period == {NONSENSE}:
        return 2, 0
    if params.stop_kind == ATR:  # the two profiles differ in that, too
        return rsi_trend(params, indicators, sentiment, decision_ms), 0
    return rsi_sentiment(params, indicators, sentiment, decision_ms)
"""


def examples() -> str:
    """Return the examples in one file, in which the profile's stops tell which is asked: the core is compiled once."""
    texts = (
        (EXAMPLES / f"{name}.py").read_text().replace("def entry", f"@numba.njit\ndef {name}") for name in BUILT_IN
    )
    return "import numba\n" + "".join(texts) + EITHER


def folder_of(path: Path, base: str, text: str) -> Path:
    """Fill a folder with a SYNTHETIC market and the profile ``mine``, whose rule is ``text``."""
    market_file(path, BARS)
    (path / "rule.py").write_text(text)
    (path / "palmbot.toml").write_text(
        f'[profile.mine]\nbase = "{base}"\nrule = "custom"\nrule_file = "rule.py"\n', "utf-8"
    )
    return path


def backtest(folder: Path, *words: str, **environ: str) -> tuple[int, dict[str, Any]]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PALMBOT_")}
    command = [str(PALMBOT), "backtest", *DATA, *words, "--json"]
    done = subprocess.run(command, cwd=folder, env=clean | environ, capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def paper(folder: Path, profile: str) -> dict[str, Any]:
    with PaperBot(folder, *DATA, *RULES, "--profile", profile, "--speed", "max", "--json") as bot:
        ended = bot.ended()
    assert ended.code == 0, ended
    return ended.answer


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_example_answers_what_the_built_in_rule_does(name: str) -> None:
    module = run_path(str(EXAMPLES / f"{name}.py"))
    params, end_ms, sides = Params(profile=int(BUILT_IN[name])), 1_700_000_000_000, set[int]()
    for gain, score, age_ms in product(np.linspace(0.0, 1.0, 41).tolist(), (-90.0, 0.0, 90.0), (0, 10**9)):
        given = (params, Indicators(100, 1.0, gain, 1.0 - gain, 1.0), Sentiment(score, end_ms - age_ms), end_ms)
        answer, (side, reason) = module["entry"](*given), signals.entry(*given)
        wanted = side, reason if Reason.SENTIMENT_ABSENT <= reason <= Reason.SENTIMENT_WEAK else 0
        assert (answer if isinstance(answer, tuple) else (answer, 0)) == wanted, given
        sides.add(side)
    assert sides == {-1, 0, 1}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("base", BUILT_IN)
def test_a_built_in_rule_rewritten_as_a_file_trades_the_same(base: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, base, examples())
    _, built_in = backtest(folder, *RULES, "--profile", base)
    _, mine = backtest(folder, *RULES, "--profile", "mine")
    assert len(built_in["trades"]) > 10
    assert built_in == mine
    mine, built_in = (paper(folder, profile) for profile in ("mine", base))
    assert (mine["trades"], mine["summary"]) == (built_in["trades"], built_in["summary"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{DEF.rstrip(':')}\n", "RULE_NOT_PYTHON"),
        ("x = 1\n", "RULE_NO_FUNCTION"),
        ("def entry(params):\n    return 0\n", "RULE_ARGUMENTS"),
        (f"import os\n{DEF}\n    return 0\n", "RULE_IMPORT"),
        (f"1 / 0\n{DEF}\n    return 0\n", "RULE_RAISED"),
        (f"{DEF}\n    return params.nothing\n", "RULE_NOT_COMPILED"),
        (f"{DEF}\n    return 0.5\n", "RULE_NONSENSE"),
    ],
)
def test_a_file_that_holds_no_rule_is_one_error(text: str, code: str, tmp_path: Path) -> None:
    exit_code, answer = backtest(folder_of(tmp_path, "rsi_trend", text), "--profile", "mine")
    assert (exit_code, answer["error"]["code"]) == (2, code)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_rule_that_raises_or_answers_nonsense_ends_the_command_with_one_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "rsi_trend", examples())
    for period, wanted in ((RAISES, "RULE_RAISED"), (NONSENSE, "RULE_NONSENSE")):
        code, answer = backtest(folder, "--profile", "mine", "--set", f"rsi_period={period}")
        assert (code, answer["error"]["code"]) == (2, wanted)
        assert answer["error"]["facts"]["file"] == "rule.py"
    odd = ("--set", f"rsi_period={NONSENSE}")
    with PaperBot(folder, *DATA, *odd, "--profile", "mine", "--speed", "max", "--json") as bot:
        ended = bot.ended()
    assert (ended.code, ended.answer["error"]["code"]) == (2, "RULE_NONSENSE")


def test_the_file_is_named_in_the_configuration_file_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "rsi_trend", "")
    (folder / "found.json").write_text('{"profile": "mine", "params": {"rule_file": "rule.py"}}', "utf-8")
    tries = (
        backtest(folder, "--set", "rule_file=rule.py"),
        backtest(folder, PALMBOT_PROFILE__RULE_FILE="rule.py"),
        backtest(folder, "--params", "found.json"),
    )
    assert [(code, answer["error"]["code"]) for code, answer in tries] == [(2, "RULE_FILE_ELSEWHERE")] * 3
    code, answer = backtest(folder, "--set", "rule=custom")
    assert (code, answer["error"]["code"]) == (2, "RULE_FILE_MISSING")
    (folder / "rule.py").unlink()
    code, answer = backtest(folder, "--profile", "mine")
    assert (code, answer["error"]["code"]) == (2, "FILE_NOT_FOUND")
