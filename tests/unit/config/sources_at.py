"""Settings from a temporary folder, for the tests of `palmbot.config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palmbot.config import Sources, load_settings
from palmbot.errors import ConfigError
from palmbot.settings import Settings


def sources(folder: Path, toml: str = "", **changed: Any) -> Sources:
    """Return the sources of ``folder`` after writing ``toml`` into its palmbot.toml."""
    if toml:
        (folder / "palmbot.toml").write_text(toml, "utf-8")
    given: dict[str, Any] = {"folder": folder, "environ": {}} | changed
    return Sources(**given)


def settings(folder: Path, toml: str = "", **changed: Any) -> Settings:
    """Return the settings of ``folder``."""
    return load_settings(sources(folder, toml, **changed))


def refusal(folder: Path, toml: str = "", **changed: Any) -> ConfigError:
    """Return the error that the settings of ``folder`` end in."""
    with pytest.raises(ConfigError) as refused:
        settings(folder, toml, **changed)
    return refused.value
