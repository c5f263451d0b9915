"""A rule from a person's file: what is refused before anything runs, and what the compiled core then hears of it.

A rule is chosen before anything is compiled, and this process has compiled long since; what needs more than a refusal
happens in processes of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import palmbot
from palmbot.bootstrap.rule import put
from palmbot.core import custom
from palmbot.core.types import Reason, Side
from palmbot.errors import ConfigError

DEF = "def entry(params, indicators, sentiment, decision_ms):"
GOOD = f"{DEF}\n    return 1\n"
# One process: puts each file named, then asks the core; prints what became of it.
ASKS = """
import json, sys
from pathlib import Path
import palmbot
from palmbot.bootstrap.rule import put
from palmbot.errors import ConfigError
def told(error):
    return {"error": error.code, "facts": {name: str(value) for name, value in error.facts.items()}}
said = []
for file in sys.argv[2:]:
    try:
        put(Path(file))
        said.append({"hash": palmbot.CORE_HASH, "cache": str(palmbot.NUMBA_CACHE)})
    except ConfigError as error:
        said.append(told(error))
periods = json.loads(sys.argv[1])
if periods:
    from palmbot.core import custom
    from palmbot.core.types import Indicators, Params, Sentiment
for period in periods:
    try:
        said.append(custom.entry(Params(rsi_period=period), Indicators(), Sentiment(), 77))
    except ConfigError as error:
        said.append(told(error))
print(json.dumps(said))
"""


def written(folder: Path, text: str, name: str = "rule.py") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def elsewhere(*files: Path, periods: tuple[int, ...] = ()) -> list[Any]:
    """Return what became of each file in a process of its own, then what its rule answers for each ``rsi_period``."""
    command = [sys.executable, "-W", "error", "-c", ASKS, json.dumps(periods), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: list[Any] = json.loads(done.stdout)
    return said


def refused(file: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        put(file)
    return caught.value


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    for file in (tmp_path / "none.py", tmp_path):
        error = refused(file)
        assert (error.code, error.facts["file"]) == ("RULE_NOT_READABLE", file)


@pytest.mark.parametrize(("text", "line"), [(f"x = 1\n{DEF}\n  return (\n", 3), ("x = 1\n\0", None)])
def test_what_is_no_python_is_told_with_its_line(text: str, line: int | None, tmp_path: Path) -> None:
    error = refused(written(tmp_path, text))
    assert error.code == "RULE_NOT_PYTHON"
    assert line is None or error.facts["line"] == line


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import os", "os"),
        ("import math, socket", "socket"),
        ("from pathlib import Path", "pathlib"),
        ("import mathematics", "mathematics"),
        ("from palmbot import core", "palmbot"),
        ("import palmbot.adapters.clock", "palmbot.adapters.clock"),
        ("from palmbot.corelike import x", "palmbot.corelike"),
        ("from . import neighbour", "."),
        (f"{DEF}\n    import time\n    return 0", "time"),
    ],
)
def test_an_import_from_elsewhere_is_refused_before_anything_of_the_file_runs(
    text: str, name: str, tmp_path: Path
) -> None:
    error = refused(written(tmp_path, f"{text}\n1 / 0\n"))
    assert (error.code, error.facts["name"]) == ("RULE_IMPORT", name)


def test_what_a_rule_needs_may_be_imported_and_a_process_that_has_compiled_takes_none(tmp_path: Path) -> None:
    before = (palmbot.CORE_HASH, palmbot.NUMBA_CACHE, custom.rule)
    needed = "from __future__ import annotations\nimport math\nimport numpy as np\nimport numba\n"
    error = refused(written(tmp_path, f"{needed}from palmbot.core.indicators import rsi\n{GOOD}"))
    assert error.code == "RULE_TOO_LATE"
    assert (palmbot.CORE_HASH, palmbot.NUMBA_CACHE, custom.rule) == before
    assert not custom.is_there


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        ("entry = 3\n", "RULE_NO_FUNCTION", "rule.py"),
        (f"{{}}['nothing']\n{GOOD}", "RULE_RAISED", "KeyError"),
        (f"{DEF}\n    return open('x').read()\n", "RULE_NOT_COMPILED", "open"),
        (f"{DEF}\n    return 1, 0, 0\n", "RULE_NONSENSE", "Tuple"),
        (f"{DEF}\n    if decision_ms > 0:\n        return 1\n", "RULE_NONSENSE", "OptionalType"),
    ],
)
def test_a_file_that_holds_no_rule_is_one_error_that_says_why(text: str, code: str, fact: str, tmp_path: Path) -> None:
    (said,) = elsewhere(written(tmp_path, text))
    assert said["error"] == code
    assert fact in " ".join(said["facts"].values())


RULE = f"""import numba


@numba.njit
def doubled(value):
    return 2 * value


@numba.njit
{DEF}
    if params.rsi_period == 1:
        raise ValueError("no")
    if params.rsi_period == 2:
        return doubled(1)
    if params.rsi_period == 3:
        return -1
    if params.rsi_period == 4:
        return 1 // (params.rsi_period - 4)
    return 0
"""


def test_the_compiled_core_hears_a_side_or_one_error(tmp_path: Path) -> None:
    file = written(tmp_path, RULE)
    put_there, *heard = elsewhere(file, periods=(1, 2, 3, 4, 14))
    assert "hash" in put_there
    assert [each["error"] if isinstance(each, dict) else each for each in heard] == [
        "RULE_RAISED", "RULE_NONSENSE", [Side.SHORT, Reason.ENTRY_SHORT], "RULE_RAISED", [Side.FLAT, Reason.NO_SIGNAL],
    ]  # fmt: skip
    assert heard[0]["facts"] == {"file": str(file), "decision_ms": "77"}


KEYS = """
import json, sys
import palmbot
said = []
for text in sys.argv[1:]:
    palmbot.key_by_rule(text.encode())
    said.append((palmbot.CORE_HASH, palmbot.NUMBA_CACHE.name))
print(json.dumps(said))
"""


def test_an_edit_changes_the_hash_and_where_compiled_code_is_kept_and_the_same_text_does_not(tmp_path: Path) -> None:
    texts = (GOOD, GOOD, GOOD.replace("1", "0"), f"{GOOD}# more\n")
    done = subprocess.run([sys.executable, "-c", KEYS, *texts], capture_output=True, text=True, check=True)
    one, same, edited, commented = json.loads(done.stdout)
    assert one == same
    assert len({each[0] for each in (one, edited, commented)}) == 3
    assert all(key == folder and key.startswith(f"{palmbot.core_hash()}-") for key, folder in (one, edited, commented))
    taken = elsewhere(written(tmp_path, GOOD))[0]
    assert (taken["hash"], Path(taken["cache"]).name) == (one[0], one[1])


def test_of_two_rules_in_one_process_the_first_stays(tmp_path: Path) -> None:
    first, second = written(tmp_path, GOOD), written(tmp_path, GOOD.replace("1", "-1"), "other.py")
    taken, late, heard = elsewhere(first, second, periods=(14,))
    assert "hash" in taken
    assert (late["error"], late["facts"]) == ("RULE_TOO_LATE", {"file": str(second)})
    assert heard[0] == 1
