"""The committed message modules are what the proto file says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "src" / "palmbot" / "protocol" / "_pb"


@pytest.mark.parametrize("suffix", [".py", ".pyi"])
def test_generating_anew_gives_the_committed_bytes(tmp_path: Path, suffix: str) -> None:
    option = {".py": "--python_out", ".pyi": "--pyi_out"}[suffix]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", f"{option}={tmp_path}", "palmbot_openapi.proto"],
        cwd=ROOT,
        check=True,
    )
    name = f"palmbot_openapi_pb2{suffix}"
    assert (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes()
