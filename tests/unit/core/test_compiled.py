"""Compiled code and the plain Python it was written in say the same, bit for bit, for every function of the core."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import typing
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.oracle.comparison import said_by_core, seeded
from tests.oracle.drawn import drawn

import palmbot.core
from palmbot.core.types import BarArrays

ROOT = Path(__file__).parents[3]
DRAWS = 60


def public_functions() -> dict[str, Any]:
    """Return the compiled functions of the core by ``module.name``."""
    found = {}
    alone = {"custom.entry", "custom.rule"}  # they refuse until a rule is put in, which takes a process of its own
    for info in pkgutil.iter_modules(palmbot.core.__path__):
        module = importlib.import_module(f"palmbot.core.{info.name}")
        for name, value in vars(module).items():
            plain = getattr(value, "py_func", None)
            if (
                plain is not None
                and plain.__module__ == module.__name__
                and not name.startswith("_")
                and f"{info.name}.{name}" not in alone
            ):
                found[f"{info.name}.{name}"] = value
    return found


FUNCTIONS = public_functions()
HINTS = {name: typing.get_type_hints(function.py_func) for name, function in FUNCTIONS.items()}
# What takes a whole series is compared below, by running the whole core uncompiled.
OVER_SERIES = {name for name, hints in HINTS.items() if BarArrays in hints.values()}


def test_the_core_has_functions_to_compare() -> None:
    assert len(FUNCTIONS) > 50
    assert "replay.replay" in OVER_SERIES
    assert len(OVER_SERIES) < 5


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - OVER_SERIES))
def test_compiled_equals_plain_python(name: str) -> None:
    function, hints = FUNCTIONS[name], HINTS[name]
    rng = Random(name)
    for _ in range(DRAWS):
        arguments = {key: drawn(rng, key, hints[key]) for key in inspect.signature(function.py_func).parameters}
        copies = copy.deepcopy(arguments)
        result, expected = function(*arguments.values()), function.py_func(*copies.values())
        assert result == expected, arguments
        assert type(result) is type(expected), arguments
        for key, value in arguments.items():  # what is written to an array
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, copies[key]), arguments


def test_the_whole_core_uncompiled_writes_the_same_bytes() -> None:
    """Recorded and skimmed; also says that nothing wraps around, for plain numpy warns where compiled code does not."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    uncompiled = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.oracle.comparison", "0", "25", "--print"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert uncompiled.returncode == 0, uncompiled.stderr
    compiled = [json.dumps(said_by_core(world, curve=curve)) for _, world in seeded(0, 25) for curve in (True, False)]
    assert uncompiled.stdout.splitlines() == compiled
