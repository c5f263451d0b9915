"""What counts once, what is the bot's own, what it takes over from the broker, and what the journal makes of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.orders.ledger import BALANCE, FOREIGN, OWNER, START_MS, Ledger, Twist, ended, levels, strike

from palmbot.core.types import Reason
from palmbot.model import IntentKind, OrderEvent
from palmbot.orders.book import Book
from palmbot.orders.lifecycle import Happening
from palmbot.units import MINUTE_MS, PX

BOTH = pytest.mark.parametrize("side", [1, -1])


# -- what is told twice, and what is somebody else's


def twice(events: tuple[OrderEvent, ...]) -> tuple[OrderEvent, ...]:
    return tuple(event for each in events for event in (each, each))


def again(events: tuple[OrderEvent, ...]) -> tuple[OrderEvent, ...]:
    return events + tuple(event for event in events if event.fill is not None)


@pytest.mark.parametrize("twist", [twice, again])
@BOTH
async def test_a_deal_that_is_told_twice_counts_once(twist: Twist, side: int) -> None:
    told, plain = Ledger(twist), Ledger()
    for ledger in (told, plain):
        held = ledger.entered(side)
        ledger.booked(ledger.account.close(held, 1_000, "theirs", strike(START_MS + 2, 4_011)))
        assert levels(ledger) == (4_000 - side * 50, 4_000 + side * 80)
        ledger.booked(ledger.account.hit(ledger.held, strike(START_MS + 3, 4_000 - side * 50)))
    assert told.closed == plain.closed
    assert told.book.balance_minor == plain.book.balance_minor
    assert await told.projected() == (ended(plain).trade,)


def test_a_fill_told_again_later_does_not_bring_an_old_position_back() -> None:
    ledger = Ledger()
    _, filled, _ = ledger.booked(ledger.account.enter(ledger.asked_entry(), strike(START_MS, 4_000)))
    ledger.amended(3_990, 4_080)
    before = ledger.book.holding
    ledger.tell(filled)
    assert ledger.book.holding == before
    assert ledger.book.is_settled


def test_positions_of_others_are_never_taken_for_own() -> None:
    ledger = Ledger()
    theirs = ledger.foreign()
    assert (ledger.book.holding, ledger.book.is_settled) == (None, True)
    mine = ledger.entered(-1)
    ledger.amended(4_040, 3_900)
    ledger.booked(ledger.account.charge(theirs, -99, START_MS + 1))
    theirs = ledger.account.positions[theirs.position_id]
    moved = ledger.account.amend(theirs, replace(ledger.asked_entry(), sl_px=1, tp_px=2), START_MS + 1).events
    ledger.tell(*(replace(event, request_id="") for event in moved))
    ledger.booked(ledger.account.hit(ledger.account.positions[theirs.position_id], strike(START_MS + 2, 3_950)))
    assert ledger.closed == []
    holding = ledger.book.holding
    assert holding is not None
    assert holding.position.position_id == mine.position_id
    assert holding.core(0).swap_minor == 0
    assert levels(ledger) == (4_040, 3_900)
    assert ledger.book.balance_minor == ledger.account.balance_minor  # one account, one balance


# -- taking over what the broker holds


def test_what_the_broker_holds_is_taken_over_with_the_reason_and_risk_that_were_journaled() -> None:
    ledger = Ledger()
    intent = ledger.asked_entry(-1)
    ledger.account.enter(intent, strike(START_MS, 4_000))  # and the bot dies before it hears of it
    ledger.foreign()
    book = Book(OWNER, 1)
    snapshot = ledger.account.snapshot()
    own = book.adopt(snapshot, {intent.client_order_id: intent})
    assert own == snapshot.positions[:1]
    holding = book.holding
    assert holding is not None
    assert (holding.reason, holding.risk_minor) == (Reason.ENTRY_LONG, 1_234.5)
    assert (holding.sl_first_px, holding.sl_px, holding.tp_px) == (4_050 * PX, 4_050 * PX, 3_920 * PX)
    assert (book.is_settled, book.balance_minor) == (True, BALANCE)
    closing = ledger.account.hit(next(iter(ledger.account.positions.values())), strike(START_MS + 4, 4_050)).events[0]
    closed = book.apply(replace(closing, order=None))
    assert closed is not None
    assert closed.trade.exit_reason == Reason.SL


def test_an_own_position_without_a_journaled_intent_is_taken_over_as_it_stands() -> None:
    ledger = Ledger()
    ledger.entered()
    book = Book(OWNER, 1)
    book.adopt(ledger.account.snapshot(), {})
    holding = book.holding
    assert holding is not None
    assert (holding.reason, holding.risk_minor, holding.sl_first_px) == (0, 0.0, 3_950 * PX)
    assert (holding.sl_wanted_px, holding.tp_wanted_px) == (3_950 * PX, 4_080 * PX)


def test_a_position_without_a_stop_is_wanted_where_its_entry_asked_for_it() -> None:
    ledger = Ledger()
    intent = ledger.asked_entry()
    ledger.account.enter(intent, strike(START_MS, 4_001))
    snapshot = ledger.account.snapshot()
    bare = replace(snapshot, positions=(replace(snapshot.positions[0], sl_px=None, tp_px=None),), orders=())
    book = Book(OWNER, 1)
    book.adopt(bare, {intent.client_order_id: intent})
    holding = book.holding
    assert holding is not None
    assert (holding.is_protected, book.is_settled) == (False, False)
    assert (holding.sl_wanted_px, holding.tp_wanted_px) == (3_951 * PX, 4_081 * PX)


def test_a_known_position_keeps_its_story_and_takes_the_brokers_levels() -> None:
    ledger = Ledger()
    ledger.entered()
    before = ledger.book.holding
    assert before is not None
    moved = replace(ledger.account.snapshot().positions[0], sl_px=3_970 * PX, swap_minor=-5)
    ledger.book.adopt(replace(ledger.account.snapshot(), positions=(moved,)), {})
    after = ledger.book.holding
    assert after == replace(before, position=moved, sl_px=3_970 * PX, sl_wanted_px=3_970 * PX)


def test_what_is_gone_from_the_broker_is_gone_from_the_book() -> None:
    ledger = Ledger()
    ledger.entered()
    assert ledger.book.adopt(replace(ledger.account.snapshot(), positions=()), {}) == ()
    assert ledger.book.holding is None


def test_several_own_positions_are_all_told() -> None:
    ledger = Ledger()
    ledger.entered()
    ledger.foreign()
    ledger.entered(-1)
    own = Book(OWNER, 1).adopt(ledger.account.snapshot(), {})
    assert [each.side for each in own] == [1, -1]
    assert FOREIGN not in [each.label for each in own]


# -- tries and memory


def test_tries_are_counted_by_bar_and_leg_and_never_repeat_however_many() -> None:
    ledger = Ledger()
    names = set()
    for number in range(1, 301):
        assert ledger.book.tries(START_MS, IntentKind.CLOSE) == number
        name = OWNER.order_id(START_MS, "X", number)
        asked = replace(ledger.sent(IntentKind.AMEND), kind=IntentKind.CLOSE, client_order_id=name, bar_end_ms=START_MS)
        ledger.book.intend(asked)
        ledger.book.happened(name, Happening.SUBMIT)
        ledger.book.happened(name, Happening.REFUSE)
        names.add(name)
    assert len(names) == 300
    assert ledger.book.tries(START_MS + MINUTE_MS, IntentKind.CLOSE) == 1
    assert ledger.book.tries(START_MS, IntentKind.ENTER) == 1


def test_an_open_request_is_never_forgotten() -> None:
    ledger = Ledger()
    asked = ledger.asked_entry()
    for _ in range(200):
        done = ledger.sent(IntentKind.AMEND)
        ledger.book.happened(done.client_order_id, Happening.REFUSE)
    assert ledger.book.in_flight == (asked,)
    ledger.book.happened(asked.client_order_id, Happening.ACCEPT)


# -- the journal makes the same trades of the same events


def play(ledger: Ledger, rng: Random) -> None:
    """Let a few positions, own and foreign, live through everything that can happen to them."""
    for _ in range(rng.randint(1, 4)):
        ledger.now_ms += 60_000
        side = rng.choice((1, -1))
        (ledger.entered if rng.random() < 0.7 else ledger.foreign)(side, 4_000 + rng.randint(-20, 20))
        held = ledger.held
        for _ in range(rng.randint(0, 4)):
            ledger.now_ms += 1_000
            held = ledger.account.positions[held.position_id]
            price = 4_000 + rng.randint(-40, 40)
            match rng.randrange(3):
                case 0 if held.volume_cu > 500:
                    volume_cu = 25 * rng.randint(1, held.volume_cu // 25 - 1)
                    ledger.booked(ledger.account.close(held, volume_cu, "theirs", strike(ledger.now_ms, price)))
                case 1:
                    ledger.booked(ledger.account.charge(held, rng.choice((-7, -1, 3)), ledger.now_ms))
                case _:
                    asked = replace(ledger.sent(IntentKind.AMEND), sl_px=price * PX, tp_px=(price + side * 99) * PX)
                    ledger.booked(ledger.account.amend(held, asked, ledger.now_ms))
        ledger.now_ms += 1_000
        held = ledger.account.positions[held.position_id]
        level = rng.choice((held.guard.sl_px, held.guard.tp_px)) / PX + rng.choice((0, -0.5, 30))
        if rng.random() < 0.6:
            ledger.booked(ledger.account.hit(held, strike(ledger.now_ms, level)))
        else:
            asked = ledger.sent(IntentKind.CLOSE, -side, reason=int(Reason.TIME), position_id=held.position_id)
            ledger.booked(
                ledger.account.close(held, held.volume_cu, asked.client_order_id, strike(ledger.now_ms, level))
            )


@given(st.randoms(use_true_random=False), st.sampled_from([twice, again, tuple]))
async def test_book_and_journal_make_the_same_trades_of_the_same_events(rng: Random, twist: Twist) -> None:
    ledger = Ledger(twist, conversion_fee_bp=rng.choice((0, 50)))
    play(ledger, rng)
    projected = [trade for trade in await ledger.projected() if trade.risk_minor != 0.0]  # the foreign have none
    assert [closed.trade for closed in ledger.closed] == projected
    assert ledger.book.balance_minor == ledger.account.balance_minor
