"""The import contracts are green, and each goes red when somebody breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "palmbot"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: dict[str, Any] = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}


def file_of(package: Path, ring: str) -> Path | None:
    """Return the file whose imports are those of ``ring``, or None where the ring does not exist yet."""
    wanted = (package / f"{ring}.py", package / ring / "__init__.py")
    return next((file for file in wanted if file.exists()), None)


def existing(line: str) -> list[str]:
    """Return the rings of one line of the contract that exist."""
    rings = [ring.strip("() ") for ring in line.split("|")]
    return [ring for ring in rings if file_of(PACKAGE, ring) is not None]


LAYERS = [rings for rings in map(existing, CONTRACTS["rings"]["layers"]) if rings]
UPWARD = [(lower[0], upper[0]) for upper, lower in pairwise(LAYERS)]
SIDEWAYS = [pair for line in LAYERS for one, other in pairwise(line) for pair in ((one, other), (other, one))]

# contract, file that gets the import, the import
BREACHES = [
    ("pure", "units.py", "import asyncio"),
    ("pure", "orders/__init__.py", "from sqlalchemy import select"),
    ("pure", "core/types.py", "import time"),
    ("core", "core/types.py", "import datetime"),
    ("core", "core/types.py", "def load():\n    import json"),
    ("core", "core/types.py", "from palmbot.calendar import Session"),
    ("protobuf", "model.py", "from google.protobuf.message import Message"),
    ("replay", "live/__init__.py", "from palmbot.core import replay"),
    ("replay", "exchange/__init__.py", "from palmbot.core.replay import replay"),
]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package beside a copy of the contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    copy = tmp_path / "src" / "palmbot"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return copy


def verdict(package: Path, contract: str) -> tuple[bool, str]:
    """Return whether ``contract`` is kept in this copy, and what the linter says."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", "--contract", contract],
        cwd=package.parents[1],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0, result.stdout + result.stderr


def plant(file: Path, line: str) -> None:
    """Append ``line`` to ``file``."""
    file.write_text(f"{file.read_text()}\n{line}\n")


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_the_house_as_it_stands_keeps_the_contract(package: Path, contract: str) -> None:
    kept, said = verdict(package, contract)
    assert kept, said


@pytest.mark.parametrize(("contract", "file", "line"), BREACHES)
def test_a_planted_breach_turns_its_contract_red(package: Path, contract: str, file: str, line: str) -> None:
    plant(package / file, line)
    kept, said = verdict(package, contract)
    assert not kept
    assert "BROKEN" in said


@pytest.mark.parametrize(("importer", "imported"), UPWARD + SIDEWAYS)
def test_a_ring_that_imports_the_one_above_or_beside_turns_red(package: Path, importer: str, imported: str) -> None:
    file = file_of(package, importer)
    assert file is not None
    plant(file, f"import palmbot.{imported}")
    kept, said = verdict(package, "rings")
    assert not kept
    assert f"palmbot.{importer} is not allowed to import palmbot.{imported}" in said


def test_a_module_without_a_ring_turns_red(package: Path) -> None:
    (package / "stray.py").write_text('"""Nobody said where this belongs."""\n')
    kept, said = verdict(package, "rings")
    assert not kept
    assert "stray" in said


def test_replay_behind_another_module_is_seen_too(package: Path) -> None:
    plant(package / "core" / "fills.py", "import palmbot.core.replay")
    plant(package / "exchange" / "__init__.py", "import palmbot.core.fills")
    kept, _ = verdict(package, "replay")
    assert not kept


def test_every_contract_has_a_breach_planted() -> None:
    assert {contract for contract, _, _ in BREACHES} | {"rings"} == set(CONTRACTS)


def test_every_pure_ring_that_exists_is_under_the_pure_contract() -> None:
    below_ports = LAYERS[LAYERS.index(["ports"]) + 1 :]
    assert {f"palmbot.{ring}" for line in below_ports for ring in line} == set(CONTRACTS["pure"]["source_modules"])


def test_the_pure_rings_may_import_no_runtime_dependency_but_numpy_and_numba() -> None:
    names = {re.split(r"[^\w.-]", wanted)[0].lower() for wanted in PROJECT["project"]["dependencies"]}
    modules = {
        module
        for module, owners in packages_distributions().items()
        if names & {owner.lower().replace("_", "-") for owner in owners} and not module.startswith("_")
    }
    assert len(modules) >= len(names)
    assert modules - {"numpy", "numba", "google"} <= set(CONTRACTS["pure"]["forbidden_modules"])  # google is protobuf
