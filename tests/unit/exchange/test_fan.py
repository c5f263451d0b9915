"""Quotes to many: what each client hears, what is serialised once, and what a slow client hears later."""

from __future__ import annotations

from typing import Any

import pytest

from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.client import Audience, Client, Key, Subscription
from palmbot.exchange.fan import Fan, Market
from palmbot.exchange.feed import FeedTick
from palmbot.exchange.grants import Scope
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.periods import Period
from palmbot.exchange.prices import SymbolPrices
from palmbot.exchange.venue import Unrealized
from palmbot.instruments import PALM_OIL
from palmbot.protocol.messages import Message, parse, pb
from palmbot.protocol.session import Role, Session

NOW_MS = 1_704_681_000_000  # on a whole hour and a half
BID, ASK = 400_000_000, 400_200_000
CATALOGUE = catalogue_of(PALM_OIL)
SYMBOL = CATALOGUE.traded_id


def tick(ts_ms: int, bid_px: int = BID, ask_px: int = ASK) -> FeedTick:
    return FeedTick(ts_ms, bid_px, ask_px, is_jump=False, bar_open_px=bid_px, rate_e8=100_000_000)


class Ear:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.is_slow = False
        self.frames: list[bytes] = []
        self.heard: list[Any] = []
        self.flushes = 0

    def send(self, message: Message, client_msg_id: str = "") -> None:
        assert client_msg_id == ""
        self.heard.append(message)

    def send_frame(self, frame: bytes) -> None:
        self.frames.append(frame)
        envelope = pb.Envelope.FromString(frame[4:])
        self.heard.append(parse(envelope.payloadType, envelope.payload))

    def flush(self) -> None:
        self.flushes += 1

    def taken(self) -> list[Any]:
        heard, self.heard = self.heard, []
        return heard


class Hall:
    """A fan over one symbol, and who listens to it."""

    def __init__(self, knobs: Knobs | None = None) -> None:
        self.prices = SymbolPrices(PALM_OIL)
        self.audience = Audience()
        self.number = 0
        self.results: dict[int, list[Unrealized]] = {}
        market = Market(
            prices={SYMBOL: self.prices},
            listing=CATALOGUE.listing,
            last=lambda _: self.prices.last,
            unrealized=lambda account_id: self.results.get(account_id, []),
            money_digits=lambda _: 2,
        )
        self.fan = Fan(self.audience, market, knobs or Knobs())

    def client(self, *account_ids: int, wants_time: bool = False) -> tuple[Client, Ear]:
        ear = Ear()
        self.number += 1
        client = Client(self.number, Session(Role.SERVER, 0), ear, self.audience)
        for account_id in account_ids:
            client.subscribe(Subscription(account_id, SYMBOL, wants_time))
        return client, ear

    def tick(self, ts_ms: int = NOW_MS, bid_px: int = BID, ask_px: int = ASK) -> None:
        made = tick(ts_ms, bid_px, ask_px)
        self.prices.add(made)
        self.fan.spot(SYMBOL, made)


def sides(spot: Any) -> tuple[int | None, int | None]:
    return (spot.bid if spot.HasField("bid") else None, spot.ask if spot.HasField("ask") else None)


def test_the_first_spot_has_both_sides_and_later_ones_what_changed() -> None:
    hall = Hall()
    _, ear = hall.client(1)
    hall.tick()
    hall.tick(NOW_MS + 1, BID + 100)
    hall.tick(NOW_MS + 2, BID + 100, ASK + 100)
    hall.tick(NOW_MS + 3, BID + 200, ASK + 200)
    assert [sides(each) for each in ear.taken()] == [
        (BID, ASK),
        (BID + 100, None),
        (None, ASK + 100),
        (BID + 200, ASK + 200),
    ]


def test_a_tick_that_changes_nothing_is_told_in_full() -> None:
    hall = Hall()
    _, ear = hall.client(1)
    hall.tick()
    hall.tick(NOW_MS + 1)
    assert [sides(each) for each in ear.taken()] == [(BID, ASK), (BID, ASK)]


def test_by_a_knob_both_sides_always_come() -> None:
    hall = Hall(Knobs(drops_unchanged_sides=False))
    _, ear = hall.client(1)
    hall.tick()
    hall.tick(NOW_MS + 1, BID + 100)
    assert sides(ear.taken()[-1]) == (BID + 100, ASK)


def test_a_spot_says_its_time_only_where_that_was_asked_for() -> None:
    hall = Hall()
    (_, plain), (_, timed) = hall.client(1), hall.client(1, wants_time=True)
    hall.tick()
    assert not plain.taken()[0].HasField("timestamp")
    assert timed.taken()[0].timestamp == NOW_MS


def test_clients_of_one_account_get_the_same_bytes_and_those_of_another_their_own() -> None:
    hall = Hall()
    ears = [hall.client(1)[1] for _ in range(3)] + [hall.client(2)[1]]
    hall.tick()
    assert ears[0].frames[0] is ears[1].frames[0] is ears[2].frames[0]
    assert ears[3].taken()[0].ctidTraderAccountId == 2


def test_many_accounts_on_one_connection_are_written_at_once() -> None:
    hall = Hall()
    _, ear = hall.client(*range(1, 101))
    hall.tick()
    assert [each.ctidTraderAccountId for each in ear.taken()] == list(range(1, 101))
    assert ear.flushes == 1


def test_the_close_of_the_session_before_comes_with_the_first_spot_alone() -> None:
    hall = Hall()
    hall.tick(NOW_MS - 86_400_000, BID - 500)
    _, ear = hall.client(1)
    hall.tick()
    hall.tick(NOW_MS + 1, BID + 100)
    first, second = ear.taken()
    assert first.sessionClose == BID - 500
    assert not second.HasField("sessionClose")


def test_live_bars_come_with_every_spot_and_say_their_period() -> None:
    hall = Hall()
    client, ear = hall.client(1)
    subscription = client.subscription(1, SYMBOL)
    assert subscription is not None
    subscription.periods += [Period.M1, Period.H1]
    hall.tick()
    hall.tick(NOW_MS + 61_000, BID - 300)
    minute, hour = ear.taken()[-1].trendbar
    assert (minute.period, minute.utcTimestampInMinutes, minute.volume) == (pb.M1, NOW_MS // 60_000 + 1, 1)
    assert (hour.period, hour.utcTimestampInMinutes) == (pb.H1, (NOW_MS - 30 * 60_000) // 60_000)
    assert (hour.low, hour.deltaOpen, hour.deltaHigh, hour.deltaClose, hour.volume) == (BID - 300, 300, 300, 0, 2)


def test_depth_follows_the_quote_by_differences() -> None:
    hall = Hall()
    client, ear = hall.client(1)
    subscription = client.subscription(1, SYMBOL)
    assert subscription is not None
    hall.tick()
    ear.taken()
    subscription.has_depth = True
    hall.fan.first_depth(client, subscription)
    (whole,) = ear.taken()
    assert (len(whole.newQuotes), list(whole.deletedQuotes)) == (10, [])
    shown = {each.id: each for each in whole.newQuotes}
    step = PALM_OIL.core.step_px
    hall.tick(NOW_MS + 1, BID + step)
    _, change = ear.taken()
    for level_id in change.deletedQuotes:
        del shown[level_id]
    shown |= {each.id: each for each in change.newQuotes}
    bids = sorted((each.bid for each in shown.values() if each.HasField("bid")), reverse=True)
    assert bids == [BID + step - depth * step for depth in range(5)]
    hall.tick(NOW_MS + 2, BID + step)
    assert [type(each) for each in ear.taken()] == [pb.SpotEvent], "the same book is not shown twice"


def test_a_slow_client_hears_the_newest_quote_of_each_symbol_once_it_reads_again() -> None:
    hall = Hall()
    client, ear = hall.client(1, 2)
    hall.tick()
    ear.taken()
    ear.is_slow = True
    for number in range(1, 50):
        hall.tick(NOW_MS + number, BID + 100 * number)
    assert ear.taken() == []
    ear.is_slow = False
    hall.fan.catch_up(client)
    assert [(each.ctidTraderAccountId, sides(each)) for each in ear.taken()] == [
        (1, (BID + 4_900, None)),
        (2, (BID + 4_900, None)),
    ]
    hall.fan.catch_up(client)
    assert ear.taken() == []


def test_results_are_told_when_they_change() -> None:
    hall = Hall()
    client, ear = hall.client()
    client.watch(1)
    hall.fan.result(client)
    hall.results[1] = [Unrealized(7, 100, 90), Unrealized(8, -30, -35)]
    hall.tick()
    hall.tick(NOW_MS + 1)
    nothing, sums = ear.taken()
    assert (nothing.grossUnrealizedPnL, nothing.netUnrealizedPnL) == (0, 0)
    assert (sums.grossUnrealizedPnL, sums.netUnrealizedPnL, sums.moneyDigits) == (70, 55, 2)


def test_a_new_subscriber_hears_the_last_quote_if_there_is_one() -> None:
    hall = Hall()
    client, ear = hall.client(1)
    subscription = client.subscription(1, SYMBOL)
    assert subscription is not None
    hall.fan.first(client, subscription)
    assert ear.taken() == []
    hall.prices.add(tick(NOW_MS))
    hall.fan.first(client, subscription)
    assert sides(ear.taken()[0]) == (BID, ASK)


@pytest.mark.parametrize("is_subscribed", [False, True])
def test_nobody_who_did_not_ask_hears_anything(is_subscribed: bool) -> None:
    hall = Hall()
    client, ear = hall.client(1)
    if not is_subscribed:
        client.forget(1)
    hall.tick()
    assert bool(ear.taken()) is is_subscribed


def test_nobody_is_looked_up_who_hears_of_nothing_any_more() -> None:
    hall = Hall()
    client, ear = hall.client(1, 2)
    client.watch(1)
    client.open(1, Key(1, Scope.TRADE))
    client.open(2, Key(1, Scope.TRADE))
    other, _ = hall.client(3)
    client.forget(1)
    assert set(hall.audience.symbols.of(SYMBOL)) == {client.number, other.number}
    assert not hall.audience.results
    client.forget_all()
    other.unsubscribe(3, SYMBOL)
    assert not hall.audience.symbols.of(SYMBOL)
    assert not hall.audience.accounts.of(2)
    hall.tick()
    assert (ear.flushes, ear.heard) == (0, [])
