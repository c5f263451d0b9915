"""How a report reads: plain lines off a terminal, a table on one."""

from __future__ import annotations

import io
import re
import sys

import pytest

from palmbot.cli.doctor import DoctorOptions, _watching, lines, table
from palmbot.diagnose import Check

CHECKS = (
    Check("configuration", ok=True, detail="symbol PALMOIL"),
    Check("token", ok=True, detail="20 d old", todo="Renew them."),
    Check("name resolution", ok=False, detail="NAME_NOT_FOUND: host=demo", todo="Look at this machine's network."),
    Check("connection", ok=None, detail="not reached: needs name resolution"),
    Check("TLS handshake", ok=None, detail="not reached: needs name resolution"),
    Check("clock", ok=None, detail="not asked"),
    Check("symbol", ok=None, detail="not reached: needs name resolution"),
)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_say_what_to_do_and_lay_together_what_one_trouble_keeps_from_being_looked_at() -> None:
    assert lines(CHECKS).splitlines() == [
        "ok           configuration          symbol PALMOIL",
        "ok           token                  20 d old",
        "                                    -> Renew them.",
        "failed       name resolution        NAME_NOT_FOUND: host=demo",
        "                                    -> Look at this machine's network.",
        "not checked  connection and 1 more  not reached: needs name resolution",
        "not checked  clock                  not asked",
        "not checked  symbol                 not reached: needs name resolution",
        "2 ok, 1 failed, 4 not checked",
    ]


def test_lines_of_the_same_words_that_are_well_stay_apart() -> None:
    same = [Check(name, ok=True, detail="as it should be") for name in ("a", "b")]
    assert lines(same).splitlines()[:2] == ["ok           a  as it should be", "ok           b  as it should be"]


def test_the_table_holds_the_same_words_whatever_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in ("60", "80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        shown = re.sub(r"\x1b\[[\d;]*m", "", table(CHECKS))
        words = " ".join(shown.split())
        for check in CHECKS:
            assert set(check.detail.split()) <= set(words.split())
        assert max(map(len, shown.splitlines())) <= int(width)
        assert "-> " in shown
        assert words.endswith("2 ok, 1 failed, 4 not checked")


def test_the_words_of_strangers_are_no_markup() -> None:
    assert "[bold]x[/bold]" in table([Check("symbol", ok=True, detail="[bold]x[/bold]")])


def test_on_a_terminal_it_shows_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with _watching(DoctorOptions()) as on_look:
        on_look("connection")
    assert "looking at: connection" in screen.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_elsewhere_it_says_nothing_before_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    if as_json:
        monkeypatch.setattr(sys, "stderr", Screen())
    with _watching(DoctorOptions(as_json=as_json)) as on_look:
        on_look("connection")
    assert capsys.readouterr().err == ""
