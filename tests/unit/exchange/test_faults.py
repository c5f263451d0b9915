"""The switchboard of faults: off by itself, once, always, and drawn from a seed."""

from __future__ import annotations

from random import Random

from palmbot.exchange.faults import Fault, Faults


def test_nothing_goes_wrong_by_itself() -> None:
    faults = Faults(Random(1))
    assert not any(faults.take(fault) for fault in Fault)
    assert (faults.delay(), faults.maintenance, faults.is_weekend) == (0, None, False)


def test_an_armed_fault_happens_as_often_as_it_was_armed() -> None:
    faults = Faults(Random(1))
    faults.once(Fault.DUPLICATE_EVENT, times=2)
    assert [faults.take(Fault.DUPLICATE_EVENT) for _ in range(3)] == [True, True, False]


def test_a_fault_of_one_type_waits_for_it_while_others_pass() -> None:
    faults = Faults(Random(1))
    faults.once(Fault.SWALLOW_RESPONSE, 2122)
    faults.once(Fault.SWALLOW_RESPONSE)
    assert [faults.take(Fault.SWALLOW_RESPONSE, kind) for kind in (2125, 2125, 2122, 2122)] == [
        True,
        False,
        True,
        False,
    ]


def test_always_is_until_never() -> None:
    faults = Faults(Random(1))
    faults.always(Fault.EMPTY_LIST)
    faults.once(Fault.EMPTY_LIST, 2134)
    assert all(faults.take(Fault.EMPTY_LIST) for _ in range(3))
    faults.never(Fault.EMPTY_LIST)
    assert not faults.take(Fault.EMPTY_LIST, 2134)


def test_a_share_and_a_delay_are_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        faults = Faults(Random(seed))
        faults.always(Fault.FRAGMENT_WRITES, 0.5)
        faults.delay_ms = (5, 50)
        return [faults.take(Fault.FRAGMENT_WRITES) * faults.delay() for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 10 < sum(each > 0 for each in drawn(1)) < 40
    assert all(each == 0 or 5 <= each <= 50 for each in drawn(1))
