"""Quotes, bars and ticks: subscriptions and history (sheet 4.5 and 8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from palmbot.exchange.client import Client, Subscription
from palmbot.exchange.desk import Desk, Reply, Route, Routes, Then
from palmbot.exchange.fan import bar_message
from palmbot.exchange.periods import Period
from palmbot.exchange.prices import Query, SymbolPrices
from palmbot.exchange.refusals import invalid, no_symbol
from palmbot.exchange.values import Refused, Via
from palmbot.protocol.messages import pb

NO_SPOTS = Refused("NOT_SUBSCRIBED_TO_SPOTS", "There is no subscription to spots of this symbol", Via.ERROR_RES)
NO_RESULTS = Refused("NOT_SUBSCRIBED_TO_PNL", "There is no subscription to the results of this account", Via.ERROR_RES)
TWICE = Refused("ALREADY_SUBSCRIBED", "There is such a subscription already", Via.ERROR_RES)


# -- spots


def subscribe_spots(desk: Desk, client: Client, request: pb.SubscribeSpotsReq) -> Reply:
    """Begin to tell quotes, the last one at once. What is subscribed already does not keep the others from it."""
    account_id = request.ctidTraderAccountId
    unknown = _unknown(desk, request.symbolId)
    if unknown is not None:
        return unknown
    fresh = [each for each in dict.fromkeys(request.symbolId) if client.subscription(account_id, each) is None]
    for symbol_id in fresh:
        client.subscribe(Subscription(account_id, symbol_id, request.subscribeToSpotTimestamp))
    is_twice = len(fresh) < len(request.symbolId)
    return Then(
        TWICE if is_twice else pb.SubscribeSpotsRes(ctidTraderAccountId=account_id),
        lambda: _begin_spots(desk, client, account_id, fresh),
    )


def _begin_spots(desk: Desk, client: Client, account_id: int, symbol_ids: Iterable[int]) -> None:
    for symbol_id in symbol_ids:
        subscription = client.subscription(account_id, symbol_id)
        if subscription is not None:
            desk.fan.first(client, subscription)
    if desk.knobs.starts_market:
        desk.engine.start()


def unsubscribe_spots(desk: Desk, client: Client, request: pb.UnsubscribeSpotsReq) -> Reply:
    """Tell no more quotes, and nothing that needs them."""
    account_id = request.ctidTraderAccountId
    unknown = _unknown(desk, request.symbolId)
    if unknown is not None:
        return unknown
    if any(client.subscription(account_id, each) is None for each in request.symbolId):
        return NO_SPOTS
    for symbol_id in request.symbolId:
        client.unsubscribe(account_id, symbol_id)
    return pb.UnsubscribeSpotsRes(ctidTraderAccountId=account_id)


# -- live bars


def subscribe_bars(desk: Desk, client: Client, request: pb.SubscribeLiveTrendbarReq) -> Reply:
    """Add the current bar of a period to every spot of a symbol."""
    unknown = _unknown(desk, [request.symbolId])
    if unknown is not None:
        return unknown
    subscription = client.subscription(request.ctidTraderAccountId, request.symbolId)
    if subscription is None:
        return Refused(desk.knobs.bars_without_spots_code, NO_SPOTS.text, Via.ERROR_RES)
    period = Period(request.period)
    if period in subscription.periods:
        return TWICE
    subscription.periods.append(period)
    return pb.SubscribeLiveTrendbarRes(ctidTraderAccountId=request.ctidTraderAccountId)


def unsubscribe_bars(desk: Desk, client: Client, request: pb.UnsubscribeLiveTrendbarReq) -> Reply:
    """Leave the bar of a period away again."""
    unknown = _unknown(desk, [request.symbolId])
    if unknown is not None:
        return unknown
    subscription = client.subscription(request.ctidTraderAccountId, request.symbolId)
    period = Period(request.period)
    if subscription is None or period not in subscription.periods:
        return invalid("There is no subscription to bars of this period")
    subscription.periods.remove(period)
    return pb.UnsubscribeLiveTrendbarRes(ctidTraderAccountId=request.ctidTraderAccountId)


# -- depth


def subscribe_depth(desk: Desk, client: Client, request: pb.SubscribeDepthQuotesReq) -> Reply:
    """Begin to show the book, all of it at once. Needs spots of the same symbols."""
    account_id = request.ctidTraderAccountId
    found = _subscriptions(desk, client, account_id, request.symbolId)
    if isinstance(found, Refused):
        return found
    fresh = [each for each in found if not each.has_depth]
    for each in fresh:
        each.has_depth, each.book = True, None

    def begin() -> None:
        for each in fresh:
            desk.fan.first_depth(client, each)

    is_twice = len(fresh) < len(found)
    return Then(TWICE if is_twice else pb.SubscribeDepthQuotesRes(ctidTraderAccountId=account_id), begin)


def unsubscribe_depth(desk: Desk, client: Client, request: pb.UnsubscribeDepthQuotesReq) -> Reply:
    """Show the book no more."""
    account_id = request.ctidTraderAccountId
    found = _subscriptions(desk, client, account_id, request.symbolId)
    if isinstance(found, Refused):
        return found
    for each in found:
        each.has_depth = False
    return pb.UnsubscribeDepthQuotesRes(ctidTraderAccountId=account_id)


# -- unrealized results of an account


def subscribe_results(desk: Desk, client: Client, request: pb.v1PnLChangeSubscribeReq) -> Reply:
    """Begin to tell the unrealized results of the account, at once and whenever they change."""
    account_id = request.ctidTraderAccountId
    if account_id in client.results:
        return TWICE
    client.watch(account_id)
    answer = pb.v1PnLChangeSubscribeRes(ctidTraderAccountId=account_id)
    return Then(answer, lambda: desk.fan.result(client))


def unsubscribe_results(_desk: Desk, client: Client, request: pb.v1PnLChangeUnSubscribeReq) -> Reply:
    """Tell them no more."""
    if request.ctidTraderAccountId not in client.results:
        return NO_RESULTS
    client.unwatch(request.ctidTraderAccountId)
    return pb.v1PnLChangeUnSubscribeRes(ctidTraderAccountId=request.ctidTraderAccountId)


# -- history


def trendbars(desk: Desk, _client: Client, request: pb.GetTrendbarsReq) -> Reply:
    """Return bars of bids, oldest first. With ``count`` hasMore says little, as on the real server."""
    prices = _prices(desk, request.symbolId)
    if isinstance(prices, Refused):
        return prices
    count = request.count if request.HasField("count") else None
    if count == 0:
        return invalid("count must be positive")
    query = replace(_query(desk, request, desk.knobs.page_bars), count=count)
    page = prices.trendbars(Period(request.period), query)
    if isinstance(page, Refused):
        return page
    is_counted = count is not None and desk.knobs.counted_has_more
    now_ms = desk.engine.venue.now_ms
    return pb.GetTrendbarsRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        period=request.period,
        timestamp=now_ms if query.to_ms is None else query.to_ms,
        trendbar=[bar_message(each) for each in page.bars],
        symbolId=request.symbolId,
        hasMore=page.has_more or is_counted,
    )


def ticks(desk: Desk, _client: Client, request: pb.GetTickDataReq) -> Reply:
    """Return ticks of one side, newest first: the first in full, each other as its difference to the one before."""
    prices = _prices(desk, request.symbolId)
    if isinstance(prices, Refused):
        return prices
    page = prices.ticks(is_ask=request.type == pb.ASK, query=_query(desk, request, desk.knobs.page_ticks))
    if isinstance(page, Refused):
        return page
    coded = page.ticks[:1] + [(later[0] - ts_ms, later[1] - px) for (ts_ms, px), later in pairwise(page.ticks)]
    return pb.GetTickDataRes(
        ctidTraderAccountId=request.ctidTraderAccountId,
        tickData=[pb.TickData(timestamp=ts_ms, tick=px) for ts_ms, px in coded],
        hasMore=page.has_more,
    )


def _query(desk: Desk, request: pb.GetTrendbarsReq | pb.GetTickDataReq, page: int) -> Query:
    return Query(
        from_ms=request.fromTimestamp if request.HasField("fromTimestamp") else None,
        to_ms=request.toTimestamp if request.HasField("toTimestamp") else None,
        page=page,
        cuts_wide_windows=not desk.knobs.refuses_wide_windows,
    )


def _prices(desk: Desk, symbol_id: int) -> SymbolPrices | Refused:
    return _unknown(desk, [symbol_id]) or desk.prices[symbol_id]


def _unknown(desk: Desk, symbol_ids: Iterable[int]) -> Refused | None:
    """Return the refusal of the first symbol that is not traded here; None where all are."""
    venue = desk.engine.venue
    for symbol_id in symbol_ids:
        listing = venue.catalogue.listing(symbol_id)
        if listing is None or listing.archived_ms is not None:
            return no_symbol(venue.conduct.knobs, symbol_id)
    return None


def _subscriptions(
    desk: Desk, client: Client, account_id: int, symbol_ids: Iterable[int]
) -> list[Subscription] | Refused:
    """Return the subscriptions to spots of all these symbols, or why not."""
    unique = list(dict.fromkeys(symbol_ids))
    found = [client.subscription(account_id, each) for each in unique]
    subscribed = [each for each in found if each is not None]
    return _unknown(desk, unique) or (NO_SPOTS if len(subscribed) < len(unique) else subscribed)


ROUTES: Routes = {
    pb.SUBSCRIBE_SPOTS_REQ: Route(subscribe_spots),
    pb.UNSUBSCRIBE_SPOTS_REQ: Route(unsubscribe_spots),
    pb.SUBSCRIBE_LIVE_TRENDBAR_REQ: Route(subscribe_bars),
    pb.UNSUBSCRIBE_LIVE_TRENDBAR_REQ: Route(unsubscribe_bars),
    pb.SUBSCRIBE_DEPTH_QUOTES_REQ: Route(subscribe_depth),
    pb.UNSUBSCRIBE_DEPTH_QUOTES_REQ: Route(unsubscribe_depth),
    pb.V1_PNL_CHANGE_SUBSCRIBE_REQ: Route(subscribe_results),
    pb.V1_PNL_CHANGE_UNSUBSCRIBE_REQ: Route(unsubscribe_results),
    pb.GET_TRENDBARS_REQ: Route(trendbars, is_list=True),
    pb.GET_TICK_DATA_REQ: Route(ticks, is_list=True),
}
