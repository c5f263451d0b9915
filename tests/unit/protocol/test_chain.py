"""Which symbols turn one currency into another."""

from __future__ import annotations

from tests.scripted_peer import MYR, PAIR, USD, symbols

from palmbot.protocol.chain import Leg, chain_of
from palmbot.protocol.messages import pb

EUR = 1
EURUSD, _, USDMYR = symbols().symbol


def test_a_chain_is_walked_from_the_first_asset_to_the_last_whichever_way_round_its_pairs_are_listed() -> None:
    assert chain_of([USDMYR], MYR, USD) == (Leg(PAIR, is_inverse=True),)
    assert chain_of([USDMYR], USD, MYR) == (Leg(PAIR, is_inverse=False),)
    assert chain_of([USDMYR, EURUSD], MYR, EUR) == (Leg(PAIR, is_inverse=True), Leg(1, is_inverse=True))
    assert chain_of([], MYR, MYR) == ()


def test_what_does_not_lead_there_is_no_chain() -> None:
    assert chain_of([], MYR, USD) is None
    assert chain_of([USDMYR], MYR, EUR) is None
    assert chain_of([EURUSD, USDMYR], MYR, EUR) is None
    assert chain_of([pb.LightSymbol(symbolId=9)], MYR, EUR) is None
