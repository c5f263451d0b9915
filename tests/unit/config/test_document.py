"""The commented file and the schema say what is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.unit.config.sources_at import settings

from palmbot.config import schema, template
from palmbot.config.keys import AXES, TABLES
from palmbot.core.types import Params
from palmbot.instruments import PALM_OIL
from palmbot.settings import DataSettings, RunSettings


def test_the_template_changes_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, template()) == settings(tmp_path / "elsewhere")


def test_the_template_with_every_line_taken_out_of_its_comment_says_what_is_built_in(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (?=[a-z_]+ += (?!\.\.\.))", "", template())
    written = tomllib.loads(text)
    assert written["profile"]["rsi_sentiment"]["sl"] == "1.5%"
    found = settings(tmp_path, text)
    assert found.params == Params()
    assert found.instrument == PALM_OIL
    assert (found.data, found.run) == (DataSettings(), RunSettings())
    assert found.explicit == set(Params._fields)


def test_the_template_names_every_setting() -> None:
    text = template()
    names = {key.leaf for table in TABLES.values() for key in table.values()}
    assert {name for name in names if not re.search(rf"(?m)^# {name} *= ", text)} == set()


def test_the_schema_knows_every_setting_and_nothing_else() -> None:
    properties = schema()["properties"]
    assert set(properties) == set(TABLES)
    for name, table in TABLES.items():
        inner = properties[name]
        if name in {"profile", "instrument"}:
            inner = inner["additionalProperties"]
            assert "base" in inner["properties"]
        assert set(inner["properties"]) - {"base", "grid", "related"} == set(table)
        assert inner["additionalProperties"] is False
        assert all("description" in each for name, each in inner["properties"].items() if name != "grid")
    assert set(properties["optimize"]["properties"]["grid"]["properties"]) == set(AXES)
