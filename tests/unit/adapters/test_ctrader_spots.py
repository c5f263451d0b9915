"""What a spot leaves out, and what the symbol's money is worth."""

from __future__ import annotations

from tests.scripted_peer import PAIR, SYMBOL, spot, symbols

from palmbot.adapters.ctrader_spots import Spots
from palmbot.model import Quote
from palmbot.protocol.chain import Leg
from palmbot.protocol.codec import LATEST_MS

EURUSD, _, USDMYR = symbols().symbol


def test_the_rate_is_that_of_all_legs_by_their_bids_exactly() -> None:
    spots = Spots("PALMOIL", SYMBOL, (Leg(PAIR, is_inverse=True), Leg(1, is_inverse=True)))
    assert spots.symbol_ids == (PAIR, 1, SYMBOL)
    assert spots.rate_e8 == 0
    spots.take(spot(470_000, 480_000, 1, PAIR), 0)
    assert spots.rate_e8 == 0  # one leg is missing
    spots.take(spot(108_000, None, 1, 1), 0)
    assert spots.rate_e8 == round(1e8 / 4.7 / 1.08)
    spots.take(spot(None, 1, 1, 1), 0)
    assert spots.rate_e8 == round(1e8 / 4.7 / 1.08)
    spots.forget()
    assert spots.rate_e8 == 0


def test_a_symbol_that_converts_its_own_money_is_listened_to_once() -> None:
    spots = Spots("EURUSD", 1, (Leg(1, is_inverse=True),))
    assert spots.symbol_ids == (1,)
    assert spots.take(spot(108_000, 108_010, 5, 1), 0) == Quote("EURUSD", 5, 108_000, 108_010, 92_592_593)


def test_no_chain_is_no_rate_and_no_legs_are_one() -> None:
    assert Spots("PALMOIL", SYMBOL, None).rate_e8 == 0
    assert Spots("PALMOIL", SYMBOL, ()).rate_e8 == 100_000_000


def test_prices_that_cannot_be_are_no_prices() -> None:
    spots = Spots("PALMOIL", SYMBOL, ())
    assert spots.take(spot(2**64 - 1, 10, 1), 0) is None
    assert spots.take(spot(9, 2**63, 2), 0) == Quote("PALMOIL", 2, 9, 10)


def test_a_time_that_cannot_be_is_as_good_as_none() -> None:
    spots = Spots("PALMOIL", SYMBOL, ())
    for time_ms in (-1, LATEST_MS + 1, 2**63 - 1):
        assert spots.take(spot(9, 10, time_ms), 60) == Quote("PALMOIL", 60, 9, 10)
    assert spots.newest_ms == 60


def test_the_newest_time_never_goes_back_and_outlives_the_prices() -> None:
    spots = Spots("PALMOIL", SYMBOL, ())
    assert (spots.newest_ms, spots.bid_px, spots.last()) == (None, None, None)
    spots.take(spot(9, 10, 50), 0)
    late = spots.take(spot(8, None, 40), 0)
    assert late == Quote("PALMOIL", 40, 8, 10)
    assert (spots.newest_ms, spots.bid_px, spots.last()) == (50, 8, Quote("PALMOIL", 50, 8, 10))
    assert spots.take(spot(7, None), 60) == Quote("PALMOIL", 60, 7, 10)
    spots.forget()
    assert (spots.newest_ms, spots.bid_px, spots.last()) == (60, None, None)
