"""Related series in the configuration: any number, each with a name, its file and its delay."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.config.sources_at import refusal, settings

from palmbot.config import schema, template
from palmbot.config.related import RELATED
from palmbot.settings import RelatedSettings
from palmbot.units import DAY_MS, HOUR_MS

TOML = """
[data]
time_zone = "UTC"
[data.related.wti]
file = "oil/wti.csv"
known_after = "22h"
stale_after = "3d"
rows = 5
[data.related.soybean_oil]
file = "oil/soy.csv"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two files of bars."""
    (tmp_path / "oil").mkdir()
    for name in ("wti.csv", "soy.csv"):
        (tmp_path / "oil" / name).write_text("timestamp,close\n", "utf-8")
    return tmp_path


def test_each_table_is_a_series_with_files_seen_from_the_configuration(folder: Path) -> None:
    assert settings(folder, TOML).data.related == (
        RelatedSettings("soybean_oil", folder / "oil" / "soy.csv"),
        RelatedSettings("wti", folder / "oil" / "wti.csv", 22 * HOUR_MS, 3 * DAY_MS, 5),
    )
    assert settings(folder, "[data]\n").data.related == ()


def test_the_command_line_and_the_environment_are_stronger_than_the_file(folder: Path) -> None:
    found = settings(
        folder,
        TOML,
        sets=("data.related.wti.rows=2", f"data.related.third.file={folder / 'oil' / 'wti.csv'}"),
        environ={"PALMBOT_DATA__RELATED__WTI__ROWS": "3", "PALMBOT_DATA__RELATED__WTI__KNOWN_AFTER": "23h"},
    ).data.related
    assert [each.name for each in found] == ["soybean_oil", "third", "wti"]
    assert (found[2].rows, found[2].known_after_ms) == (2, 23 * HOUR_MS)


@pytest.mark.parametrize(
    ("toml", "code", "setting"),
    [
        ('[data.related.wti]\nknown_after = "22h"\n', "RELATED_NO_FILE", "data.related.wti.file"),
        ('[data.related.wti]\nfiel = "oil/wti.csv"\n', "UNKNOWN_SETTING", "fiel"),
        ('[data.related.wti]\nfile = "oil/none.csv"\n', "FILE_NOT_FOUND", "data.related.wti.file"),
        ('[data.related.wti]\nknown_after = "0s"\n', "OUT_OF_RANGE", "data.related.wti.known_after"),
        ('[data.related.wti]\nknown_after = 22\n', "BAD_DURATION", "data.related.wti.known_after"),
        ('[data.related."W T I"]\nfile = "oil/wti.csv"\n', "UNKNOWN_SETTING", "data.related.W T I"),
        ('[data.related]\nwti = "oil/wti.csv"\n', "UNKNOWN_SETTING", "data.related.wti"),
        ('[data]\nrelated = "oil/wti.csv"\n', "UNKNOWN_SETTING", "related"),
        ('[data.relatd.wti]\nfile = "oil/wti.csv"\n', "UNKNOWN_SETTING", "relatd"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(folder: Path, toml: str, code: str, setting: str) -> None:
    refused = refusal(folder, toml)
    assert (refused.code, refused.facts["setting"]) == (code, setting)


def test_the_schema_and_the_template_tell_of_them() -> None:
    table = schema()["properties"]["data"]["properties"]["related"]["additionalProperties"]
    assert set(table["properties"]) == set(RELATED)
    assert table["required"] == ["file"]
    assert "[data.related.soybean_oil]" in template()
