"""A keyring that keeps its passwords in the file that ``RING_FILE`` names: for tests, which have no system's keyring.

Other processes find it by ``PYTHON_KEYRING_BACKEND=tests.unit.adapters.ring_in_a_file.RingInAFile``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class RingInAFile(KeyringBackend):
    """Claims to be as safe as a real one."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._all().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file().write_text(json.dumps(self._all() | {f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        self._file().write_text(json.dumps({k: v for k, v in self._all().items() if k != f"{service}/{username}"}))

    def _file(self) -> Path:
        return Path(os.environ["RING_FILE"])

    def _all(self) -> dict[str, str]:
        return dict(json.loads(self._file().read_text())) if self._file().exists() else {}
