"""The rules of ``tidy`` hold in every file, and each finds an offence when one is planted."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests import tidy

ROOT = Path(__file__).parents[1]
CODE = r"(src|tests|bench)/.*\.py"
SHIPPED = r"src/.*\.py"
CORE = r"src/palmbot/core/.*\.py"
SIMULATED = r"src/palmbot/((live|orders|protocol|exchange|simulation)/.*|adapters/(ctrader\w*|journal|writer))\.py"
GENERATED = re.compile(r"src/palmbot/protocol/_pb/.*")


class Rule(NamedTuple):
    """A rule, where it holds, one text that breaks it and one that only looks like it."""

    find: Callable[[str], Iterable[str]]
    where: str
    offence: str
    innocent: str
    unless: str = ""


RULES = [
    Rule(tidy.long_file, CODE, "x = 1\n" * 401, "x = 1\n" * 400),
    Rule(tidy.long_function, CODE, "def f():\n" + "    x = 1\n" * 70, "def f():\n" + "    x = 1\n" * 69),
    Rule(
        tidy.many_arguments,
        r"(src|bench)/.*\.py",
        "def f(a, b, c, *, d, e, g, h): ...",
        "def f(self, a, b, c, d, e, g): ...",
    ),
    Rule(tidy.homeless_name, CODE, "class OrderManager: ...", "from contextlib import contextmanager"),
    Rule(tidy.unfinished, CODE, "x = 1  # TO" + "DO: finish", 'raise RetryError("CODE", todo="wait")'),
    Rule(
        tidy.unexplained_noqa, CODE, "x = 1  # no" + "qa: E501", "x = 1  # no" + "qa: E501 - a table reads better wide"
    ),
    Rule(tidy.address, ".*", "see https://py" + "pi.org/simple", "see https://www.tradingview.com/"),
    Rule(tidy.lock_address, r".*(\.lock|package-lock\.json)", '"resolved": "x"', "numpy==2.4.6 --hash=sha256:0a30"),
    Rule(tidy.machine_path, ".*", "data = '/" + "root/data'", "https://example.org/home/page, frame/work/x"),
    Rule(tidy.no_docstring, SHIPPED, "import os\n", '"""What it is."""\nimport os\n'),
    Rule(tidy.asserted, SHIPPED, "assert x > 0", "if x <= 0:\n    raise InvariantError"),
    Rule(
        tidy.clock_read,
        SHIPPED,
        "from time import monotonic as now\nnow()",
        "clock.monotonic_ms()",
        r".*/(adapters/clock|simulation/(clock|pipe|trace|world))\.py",  # the machine's, and virtual time
    ),
    Rule(
        tidy.unseeded,
        CODE,
        "import random\nrandom.shuffle(deck)",
        "import random\nrandom.Random(7).shuffle(deck)",
        r".*/adapters/chance\.py",
    ),
    Rule(
        tidy.swallowed, CODE, "try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept KeyError:\n    pass"
    ),
    Rule(
        tidy.environment_read,
        SHIPPED,
        "from os import environ\nx = environ['HOME']",
        "environ = {}\nx = environ['HOME']",
        r"src/palmbot/(__init__|config(/.*)?)\.py",
    ),
    Rule(
        tidy.built_at_import, SHIPPED, "from m import Settings\nS = Settings()", "def build():\n    return Settings()"
    ),
    Rule(
        tidy.foreign_to_core,
        CORE,
        "from palmbot.unitsx import step",
        "from palmbot.units import step_px\nimport numpy.random",
    ),
    Rule(tidy.unsafe_numba, CORE, "f = njit(fastmath=True)(g)", "state = State(*state)"),
    Rule(
        tidy.unordered_tasks,
        SIMULATED,
        "async def f():\n    yield 1",
        "async def f():\n    await asyncio.wait_for(g(), 1)",
    ),
    Rule(tidy.unstable_identity, SIMULATED, "key = id(order)", "key = order.id"),
    Rule(
        tidy.threads,
        SIMULATED,
        "import threading as t\nt.Thread(target=f)",
        "from threading import Lock",
        r".*/(journal|writer)\.py",
    ),
    Rule(
        tidy.second_thread,
        r".*/adapters/(journal|writer)\.py",
        "from threading import Thread\nThread()\nThread()",
        "threading.Thread()",
    ),
    Rule(
        tidy.iterated_set,
        SIMULATED,
        "a: set[int] = f()\nfor x in a: g(x)",
        "a: set[int] = f()\nfor x in sorted(a): g(x)",
    ),
    Rule(
        tidy.incomplete_machine,
        SHIPPED,
        "class Stage(Enum): ...\nTRANSITIONS: dict = {}",
        "class Stage(Enum): ...\nTRANSITIONS = {}\ndef apply(stage, event): ...",
    ),
]

# More offences of rules that know several.
OFFENCES = [
    (tidy.clock_read, "import datetime as dt\ndt.datetime.now(dt.UTC)"),
    (tidy.clock_read, "from datetime import datetime\nstamp = datetime.utcnow"),
    (tidy.clock_read, "import time\ntime.perf_counter_ns()"),
    (tidy.clock_read, "asyncio.get_running_loop().time()"),
    (tidy.clock_read, "self._loop.time()"),
    (tidy.unseeded, "import random\nr = random.Random()"),
    (tidy.unseeded, "import numpy as np\nnp.random.rand(3)"),
    (tidy.unseeded, "import numpy as np\nnp.random.default_rng()"),
    (tidy.swallowed, "try:\n    f()\nexcept:\n    g()"),
    (tidy.swallowed, "try:\n    f()\nexcept (KeyError, Exception):\n    ..."),
    (tidy.swallowed, "from contextlib import suppress\nwith suppress(Exception):\n    f()"),
    (tidy.built_at_import, "class A:\n    engine = sa.create_engine(url)"),
    (tidy.built_at_import, "def f(settings=RunSettings()): ..."),
    (tidy.environment_read, "import os\nos.getenv('HOME')"),
    (tidy.homeless_name, "def parse_common(): ..."),
    (tidy.foreign_to_core, "def f():\n    import os"),
    (tidy.unsafe_numba, "from numba.experimental import jitclass"),
    (tidy.unsafe_numba, "state = state._replace(x=1)"),
    (tidy.unordered_tasks, "import asyncio\ndone, rest = await asyncio.wait(tasks)"),
    (tidy.unordered_tasks, "from asyncio import TaskGroup\nasync with TaskGroup() as group: ..."),
    (tidy.unordered_tasks, "import asyncio\nfor each in asyncio.as_completed(tasks): ..."),
    (tidy.unordered_tasks, "for task in asyncio.all_tasks(): task.cancel()"),
    (tidy.unordered_tasks, "prices = (price async for price in feed)"),
    (tidy.unstable_identity, "hash(order)"),
    (tidy.unstable_identity, "orders.sort(key=id)"),
    (tidy.unstable_identity, "from weakref import finalize"),
    (tidy.unstable_identity, "class A:\n    def __del__(self): ..."),
    (tidy.unstable_identity, "from uuid import uuid4"),
    (tidy.unstable_identity, "import weakref"),
    (tidy.threads, "await asyncio.to_thread(f)"),
    (tidy.threads, "await loop.run_in_executor(None, f)"),
    (tidy.threads, "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor()"),
    (tidy.threads, "await asyncio.create_subprocess_exec('true')"),
    (tidy.iterated_set, "x = [y for y in {1, 2}]"),
    (tidy.iterated_set, "x = list(frozenset(y))"),
    (tidy.iterated_set, "for x in a.keys() - b.keys(): f(x)"),
    (tidy.iterated_set, "self.open = set()\nfirst = next(iter(self.open))"),
    (tidy.iterated_set, "f(*a.union(b))"),
    (tidy.machine_path, "cd /" + "work/x"),
    (tidy.machine_path, "open('/" + "home/me/x')"),
    (tidy.lock_address, "numpy @ https://example.org/numpy.whl"),
    (tidy.unexplained_noqa, "x = 1  # no" + "qa"),
]


def tracked() -> list[str]:
    """Return the paths of all files that are, or are about to be, tracked; of a tree without git, every text file."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]
    parts = [ROOT / name for name in ("src", "tests", "bench", "docs", "requirements")]
    return [file.relative_to(ROOT).as_posix() for part in parts for file in part.rglob("*") if file.is_file()]


def text_of(path: str) -> str:
    """Return the text of a file; of one that is not text, nothing."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def holds_in(rule: Rule, path: str) -> bool:
    """Return whether ``rule`` holds in the file at ``path``."""
    return bool(re.fullmatch(rule.where, path) and not re.fullmatch(rule.unless, path) and not GENERATED.match(path))


def label(rule: Rule) -> str:
    """Return the name of ``rule`` for pytest's output."""
    return rule.find.__name__


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    found = [f"{path}: {what}" for path in tracked() if holds_in(rule, path) for what in rule.find(text_of(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_a_planted_offence_is_found_and_its_look_alike_is_not(rule: Rule) -> None:
    assert list(rule.find(rule.offence))
    assert not list(rule.find(rule.innocent))


@pytest.mark.parametrize(("find", "offence"), OFFENCES)
def test_every_form_of_an_offence_is_found(find: Callable[[str], Iterable[str]], offence: str) -> None:
    assert list(find(offence))


@pytest.mark.parametrize("path", ["live/runner", "orders/book", "adapters/journal", "adapters/ctrader_link"])
def test_what_runs_in_virtual_time_is_under_the_rules_of_it(path: str) -> None:
    rules = [rule for rule in RULES if rule.where == SIMULATED]
    assert len(rules) == 4
    assert all(re.fullmatch(rule.where, f"src/palmbot/{path}.py") for rule in rules)


def test_no_path_is_called_by_a_name_that_names_nothing() -> None:
    assert list(tidy.homeless_path("src/palmbot/order_utils.py"))
    assert not [what for path in tracked() for what in tidy.homeless_path(path)]


def test_no_lock_format_that_carries_addresses_is_tracked() -> None:
    assert not {"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"} & {Path(path).name for path in tracked()}


def test_every_signature_that_may_be_long_exists_and_has_its_reason() -> None:
    core = "".join(text_of(path) for path in tracked() if re.fullmatch(CORE, path))
    assert all(f"def {name}(" in core and why for name, why in tidy.LONG_SIGNATURES.items())


def test_every_runtime_dependency_is_locked_with_hashes() -> None:
    wanted = tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]
    locked = re.findall(r"^([\w.-]+)==\S+(?: ;.*?)? \\\n    --hash=sha256:", text_of("requirements/run.lock"), re.M)
    names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in wanted}
    assert names <= set(locked)
