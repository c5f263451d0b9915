"""How lines come about: one trouble is one failed line, nothing takes for ever, and no secret is shown."""

from __future__ import annotations

import asyncio

import pytest
from tests.fakes import FakeClock

from palmbot.adapters.clock import SystemClock
from palmbot.diagnose import Check, Examination, Found, Limits
from palmbot.errors import InvariantError, RejectedError

PATIENT = Limits(look_ms=10_000, all_ms=60_000)


def examination(limits: Limits = PATIENT, clock: SystemClock | FakeClock | None = None) -> Examination:
    return Examination(clock or SystemClock(), limits, lambda _: None)


async def seven() -> Found[int]:
    return Found(7, "it is seven", "keep it so")


async def refuse(*_: object) -> Found[int]:
    raise RejectedError("NO_WAY", "Go another way.", where="here", why="'closed'")


async def test_what_is_well_is_said_with_its_advice() -> None:
    exam = examination()
    assert (await exam.look("number", seven)).value == 7
    assert exam.checks == [Check("number", True, "it is seven", "keep it so")]  # noqa: FBT003 - as it is read


async def test_what_is_wrong_is_said_by_its_code_with_what_to_do() -> None:
    exam = examination()
    look = await exam.look("way", refuse)
    assert exam.checks[0].to_json() == {
        "name": "way",
        "ok": False,
        "detail": "NO_WAY: where=here why='closed'",
        "todo": "Go another way.",
    }
    with pytest.raises(InvariantError, match="NOTHING_FOUND"):
        _ = look.value


async def test_what_needs_it_is_not_tried_and_names_what_failed_however_far_away() -> None:
    exam = examination()
    tried = []

    async def note(*found: int) -> Found[int]:
        tried.append(found)
        return Found(1, "noted")

    first, well = await exam.look("way", refuse), await exam.look("number", seven)
    second = await exam.look("house", note, well, first)
    await exam.look("room", note, second)
    await exam.look("garden", note, well, well)
    assert tried == [(7, 7)]
    assert [(each.name, each.ok) for each in exam.checks] == [
        ("way", False),
        ("number", True),
        ("house", None),
        ("room", None),
        ("garden", True),
    ]
    assert {each.detail for each in exam.checks if each.ok is None} == {"not reached: needs way"}


async def test_what_was_left_out_is_the_reason_of_what_needs_it() -> None:
    exam = examination()
    await exam.look("room", seven, exam.leave("house", "nobody asked"))
    assert [(each.ok, each.detail) for each in exam.checks] == [
        (None, "nobody asked"),
        (None, "not reached: needs house"),
    ]


async def test_a_look_that_hangs_is_given_up() -> None:
    exam = examination(Limits(look_ms=20, all_ms=60_000))

    async def hang() -> Found[int]:
        await asyncio.Event().wait()
        return Found(1, "")

    await exam.look("sleeper", hang)
    await exam.look("number", seven)
    assert (exam.checks[0].ok, exam.checks[0].detail) == (False, "no answer in 0.02 s")
    assert exam.checks[0].todo
    assert exam.checks[1].ok


async def test_after_the_time_for_all_nothing_more_is_tried() -> None:
    clock = FakeClock()
    exam = examination(Limits(look_ms=5_000, all_ms=20_000), clock)
    await exam.look("number", seven)
    clock.now_ms += 20_000
    await exam.look("again", seven)
    assert (exam.checks[1].ok, exam.checks[1].detail) == (None, "not reached: the 20 s for all of this are over")


async def test_a_look_has_no_more_time_than_is_left_for_all() -> None:
    clock = FakeClock()
    exam = examination(Limits(look_ms=5_000, all_ms=20_000), clock)
    clock.now_ms += 19_980

    async def hang() -> Found[int]:
        await asyncio.Event().wait()
        return Found(1, "")

    await exam.look("sleeper", hang)
    assert exam.checks[0].detail == "no answer in 0.02 s"


@pytest.mark.parametrize(
    ("error", "detail"),
    [(OSError(111, "Connection refused"), "Connection refused"), (ConnectionResetError(), "ConnectionResetError")],
)
async def test_what_the_system_says_is_passed_on(error: OSError, detail: str) -> None:
    exam = examination()

    async def fail() -> Found[int]:
        raise error

    await exam.look("line", fail)
    assert (exam.checks[0].ok, exam.checks[0].detail) == (False, detail)
    assert exam.checks[0].todo


async def test_a_bug_is_no_finding() -> None:
    async def stumble() -> Found[int]:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await examination().look("bug", stumble)


async def test_the_words_of_strangers_are_one_line_without_secrets() -> None:
    exam = examination()
    exam.hide("s3cret", "no")  # what is too short to be a secret would blank out plain words

    async def echo() -> Found[int]:
        raise RejectedError("X", "Not s3cret.", text="no s3cret\n\x1b[31mred\u202e" + "x" * 9_999)

    await exam.look("stranger", echo)
    check = exam.checks[0]
    assert check.detail.startswith("X: text=no [hidden]  [31mred xxx")
    assert len(check.detail) == 1_000
    assert check.todo == "Not [hidden]."


async def test_who_waits_is_told_what_for() -> None:
    names: list[str] = []
    exam = Examination(SystemClock(), PATIENT, names.append)
    first = await exam.look("way", refuse)
    await exam.look("house", seven, first)
    await exam.look("number", seven)
    assert names == ["way", "number"]
