"""Client order ids: short enough, readable without a journal, and never mistaken for another bot's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmbot.errors import InvariantError
from palmbot.orders.identity import LENGTH_MAX, Owner
from palmbot.units import MINUTE_MS

OWNER = Owner("ab12", "rsi_sentiment", "PALMOIL", 3)
BAR_END_MS = 1_704_682_800_000
NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)  # what the configuration accepts as a name
OWNERS = st.builds(
    Owner,
    instance=st.from_regex(r"[0-9a-f]{4}", fullmatch=True),
    profile=NAMES,
    symbol=NAMES | st.text(min_size=1, max_size=12),
    epoch=st.integers(1, 36**3 - 1),
)
MINUTES = st.integers(0, 36**5 - 1)  # up to the year 2084


def parts(made: str) -> dict[str, str]:
    """Read an id as a person would who has lost the journal."""
    match = re.fullmatch(
        r"(?P<instance>....)\.(?P<profile>\w{1,4})\.(?P<symbol>\w{1,6})\.(?P<bar>\w+)\.(?P<leg>.)(?P<tries>\d+)\.(?P<epoch>\w+)",
        made,
    )
    assert match is not None, made
    return match.groupdict()


def test_an_id_reads_as_its_docstring_says() -> None:
    assert OWNER.order_id(BAR_END_MS, "E", 1) == "ab12.rs.PALMOI.gwyd0.E1.3"
    assert int("gwyd0", 36) * MINUTE_MS == BAR_END_MS


@given(OWNERS, MINUTES, st.sampled_from("EXA"), st.integers(1, 99))
def test_bar_leg_try_and_epoch_can_be_read_back_and_the_owner_knows_it(
    owner: Owner, minute: int, leg: str, tries: int
) -> None:
    made = owner.order_id(minute * MINUTE_MS, leg, tries)
    assert len(made) <= LENGTH_MAX
    assert made.isascii()
    read = parts(made)
    assert (read["instance"], read["leg"], int(read["tries"])) == (owner.instance, leg, tries)
    assert (int(read["bar"], 36), int(read["epoch"], 36)) == (minute, owner.epoch)
    assert owner.owns(made)


@given(MINUTES, MINUTES, st.sampled_from("EXA"), st.sampled_from("EXA"), st.integers(1, 99), st.integers(1, 99))
def test_two_requests_never_share_an_id(one: int, two: int, leg: str, other: str, tries: int, again: int) -> None:
    same = (one, leg, tries) == (two, other, again)
    ids = OWNER.order_id(one * MINUTE_MS, leg, tries), OWNER.order_id(two * MINUTE_MS, other, again)
    assert (ids[0] == ids[1]) is same


def test_what_was_sent_in_an_earlier_epoch_or_by_another_profile_of_this_install_is_still_its_own() -> None:
    later = replace(OWNER, epoch=400, profile="rsi_trend")
    assert later.owns(OWNER.order_id(BAR_END_MS, "E", 1))
    assert later.order_id(BAR_END_MS, "E", 1) != OWNER.order_id(BAR_END_MS, "E", 1)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "manual",
        "server-17",
        "cd34.rs.PALMOI.gwyd0.E1.3",  # another install
        "ab12.rs.SOYOIL.gwyd0.E1.3",  # another symbol
        "ab12.rs.PALM.gwyd0.E1.3",
        "ab12.rs.PALMOI.gwyd0.E1.3 ",
        "xab12.rs.PALMOI.gwyd0.E1.3",
        "ab12.rs.PALMOI.gwyd0.E1.3\n",
        "ab12.rs.PALMOI.gwyd0.B1.3",  # no such leg
        "ab12.rs.PALMOI.gwyd0.E.3",
        "ab12.rs.PALMOI.gwyd0.E1",
        "AB12.rs.PALMOI.gwyd0.E1.3",
    ],
)
def test_a_label_of_somebody_else_is_not_owned(label: str) -> None:
    assert OWNER.owns("ab12.rs.PALMOI.gwyd0.E1.3")
    assert not OWNER.owns(label)


@pytest.mark.parametrize(
    ("label", "is_rival"),
    [
        ("cd34.rt.PALMOI.gwyd0.X2.9", True),
        ("ab12.rt.PALMOI.gwyd0.X2.9", False),
        ("cd34.rt.SOYOIL.gwyd0.X2.9", False),
        ("manual", False),
        ("", False),
    ],
)
def test_another_install_on_the_same_symbol_is_a_rival(label: str, *, is_rival: bool) -> None:
    assert OWNER.rivals(label) is is_rival


@given(st.text(max_size=30))
def test_no_text_that_a_person_types_is_owned(label: str) -> None:
    assert not OWNER.owns(label)


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [("US500.cash", "US500c"), ("EUR/USD", "EURUSD"), ("€", "x"), ("#BMD_FCPO", "BMDFCP"), ("Палма", "x"), ("X", "X")],
)
def test_an_odd_symbol_is_shown_by_its_first_letters_and_digits(symbol: str, shown: str) -> None:
    owner = replace(OWNER, symbol=symbol)
    made = owner.order_id(BAR_END_MS, "X", 2)
    assert parts(made)["symbol"] == shown
    assert owner.owns(made)


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        ("rsi_trend", "rt"),
        ("mine", "m"),
        ("a_b_c_d_e_f", "abcd"),
        ("My__Own", "mo"),
        ("_", "x"),
        ("-fast-v2", "fv"),
        ("3.1", "31"),
    ],
)
def test_any_profile_that_the_configuration_accepts_has_initials(profile: str, shown: str) -> None:
    assert parts(replace(OWNER, profile=profile).order_id(BAR_END_MS, "A", 1))["profile"] == shown


@pytest.mark.parametrize(
    ("owner", "leg", "tries"),
    [
        (OWNER, "B", 1),
        (replace(OWNER, instance="abc"), "E", 1),
        (replace(OWNER, instance="AB12"), "E", 1),
        (replace(OWNER, epoch=36**3), "E", 1_000),
    ],
)
def test_an_id_that_would_be_out_of_shape_or_too_long_is_never_made(owner: Owner, leg: str, tries: int) -> None:
    with pytest.raises(InvariantError, match="ORDER_ID"):
        owner.order_id(BAR_END_MS, leg, tries)
