"""The client against a scripted broker: its login, and the quotes that it tells."""

from __future__ import annotations

import pytest
from tests.scripted_peer import (
    ACCOUNT,
    PAIR,
    SECRET,
    SYMBOL,
    TOKEN,
    USD,
    entry,
    error,
    spot,
)
from tests.unit.adapters.ctrader_world import EPOCH_MS, World, story

from palmbot.errors import RejectedError, RetryError
from palmbot.model import Quote
from palmbot.protocol.messages import pb
from palmbot.settings import Environment

# -- the first login


@story()
async def test_it_logs_in_step_by_step_and_asks_for_nothing_that_it_does_not_need(world: World) -> None:
    await world.ready()
    kinds = [type(each).__name__ for each in world.peer.heard]
    assert kinds == [
        "ApplicationAuthReq",
        "GetAccountListByAccessTokenReq",
        "AccountAuthReq",
        "TraderReq",
        "SymbolsListReq",
        "SymbolByIdReq",
    ]
    app, account = world.peer.asked(pb.ApplicationAuthReq)[0], world.peer.asked(pb.AccountAuthReq)[0]
    assert (app.clientId, app.clientSecret) == ("app", SECRET)
    assert (account.ctidTraderAccountId, account.accessToken) == (ACCOUNT, TOKEN)
    assert world.told() == []  # nothing was lost, so nothing is back


@story()
async def test_events_that_come_before_the_login_is_complete_are_told_after_it(world: World) -> None:
    events = entry("x")
    granted = [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT), *events]
    world.peer.answers[pb.AccountAuthReq] = lambda _: granted
    await world.ready()
    assert [event.execution for event in world.order_events()] == [2, 3, 2]


@story()
async def test_whoever_asks_before_the_login_is_complete_waits_for_it(world: World) -> None:
    snapshot = await world.ctrader.account()
    assert (snapshot.account_id, snapshot.balance_minor, snapshot.leverage, snapshot.hedged) == (
        ACCOUNT,
        10_000_000,
        20,
        True,
    )


@story()
async def test_a_session_that_does_not_come_is_waited_for_as_long_as_an_answer_may_take(world: World) -> None:
    world.peer.answers[pb.ApplicationAuthReq] = lambda _: []
    start_ms = world.clock.monotonic_ms()
    with pytest.raises(RetryError, match="LINK_DOWN"):
        await world.ctrader.account()
    assert world.clock.monotonic_ms() - start_ms == 10_000


# -- quotes


@story()
async def test_quotes_have_both_sides_though_the_broker_leaves_out_what_did_not_change(world: World) -> None:
    world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
    await world.ready()
    await world.ctrader.subscribe("PALMOIL")
    world.peer.last.send(spot(400_100_000, None, 1_001), spot(None, 400_300_000, 1_002), spot(0, 400_250_000, 1_003))
    await world.passes(1)
    told = world.told()
    assert told == [
        Quote("PALMOIL", 1_000, 400_000_000, 400_200_000),
        Quote("PALMOIL", 1_001, 400_100_000, 400_200_000),
        Quote("PALMOIL", 1_002, 400_100_000, 400_300_000),
        Quote("PALMOIL", 1_003, 400_100_000, 400_250_000),
    ]
    request = world.peer.asked(pb.SubscribeSpotsReq)[0]
    assert (list(request.symbolId), request.subscribeToSpotTimestamp) == ([SYMBOL], True)


@story()
async def test_no_quote_is_told_before_both_sides_are_known(world: World) -> None:
    world.peer.first_spots = [spot(400_000_000, None, 1_000)]
    await world.listening()
    assert world.told() == []
    world.peer.last.send(spot(None, 400_200_000, 1_001))
    await world.passes(1)
    assert world.told() == [Quote("PALMOIL", 1_001, 400_000_000, 400_200_000)]


@story()
async def test_a_quote_without_a_time_has_the_time_of_its_arrival(world: World) -> None:
    await world.listening()
    world.peer.last.send(spot(400_000_000, 400_200_000))
    await world.passes(1)
    (quote,) = world.told()
    assert isinstance(quote, Quote)
    assert EPOCH_MS < quote.ts_ms <= world.clock.utc_ms()


@story(deposit_asset_id=USD)
async def test_quotes_carry_what_the_symbols_money_is_worth_in_that_of_the_account(world: World) -> None:
    world.peer.first_spots = [spot(470_000, 470_100, 1_000, PAIR), spot(400_000_000, 400_200_000, 1_000)]
    await world.ready()
    await world.ctrader.subscribe("PALMOIL")
    world.peer.last.send(spot(469_999, None, 1_001, PAIR), spot(400_000_001, None, 1_002))
    await world.passes(1)
    rates = [event.rate_e8 for event in world.told() if isinstance(event, Quote)]
    assert rates == [round(1e13 / 470_000), round(1e13 / 469_999)]
    assert list(world.peer.asked(pb.SubscribeSpotsReq)[0].symbolId) == [PAIR, SYMBOL]
    request = world.peer.asked(pb.SymbolsForConversionReq)[0]
    assert (request.firstAssetId, request.lastAssetId) == (2, USD)


@story(deposit_asset_id=USD)
async def test_without_a_chain_or_its_prices_the_rate_is_unknown(world: World) -> None:
    world.peer.answers[pb.SymbolsForConversionReq] = lambda _: [error("SYMBOL_NOT_FOUND")]
    world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
    await world.ready()
    await world.ctrader.subscribe("PALMOIL")
    await world.passes(1)
    assert [event.rate_e8 for event in world.told() if isinstance(event, Quote)] == [0]


@story()
async def test_quotes_of_other_accounts_and_symbols_are_ignored(world: World) -> None:
    await world.listening()
    other = pb.SpotEvent(ctidTraderAccountId=ACCOUNT + 1, symbolId=SYMBOL, bid=1, ask=2, timestamp=1)
    world.peer.last.send(other, spot(1, 2, 1, symbol_id=1))
    await world.passes(1)
    assert world.told() == []


@story(Environment.PAPER)
async def test_a_subscription_after_the_history_in_paper_tells_the_present_quote(world: World) -> None:
    world.peer.first_spots = [spot(400_000_000, 400_200_000, 1_000)]
    await world.ready()
    await world.ctrader.history("PALMOIL", 60_000, 5)
    assert world.told() == []
    await world.ctrader.subscribe("PALMOIL")
    assert world.told() == [Quote("PALMOIL", 1_000, 400_000_000, 400_200_000)]
    assert len(world.peer.asked(pb.SubscribeSpotsReq)) == 1


@story()
async def test_a_subscription_that_was_there_already_is_one(world: World) -> None:
    world.peer.answers[pb.SubscribeSpotsReq] = lambda _: [error("ALREADY_SUBSCRIBED")]
    await world.listening()
    world.peer.last.send(spot(400_000_000, 400_200_000, 1_000))
    await world.passes(1)
    assert len(world.told()) == 1


@story()
async def test_only_the_symbol_that_it_was_made_for_can_be_asked_for(world: World) -> None:
    await world.ready()
    with pytest.raises(RejectedError, match="SYMBOL_NOT_FOUND"):
        await world.ctrader.subscribe("EURUSD")
    with pytest.raises(RejectedError, match="SYMBOL_NOT_FOUND"):
        await world.ctrader.history("EURUSD", 60_000, 1)
