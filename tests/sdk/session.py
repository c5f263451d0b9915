"""A whole session of Spotware's own client against an exchange; prints every message it receives as one line of JSON.

Run by ``test_official_sdk`` in the client's environment and in its own process, from the root of the repository:
``python -m tests.sdk.session FILE``, where FILE holds the line that ``palmbot exchange`` prints. The name of a step is
the id of its request, so that the lines can be told apart. What the answers have to say is the test's business; this
script fails only when an answer that it needs to go on does not come.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from ctrader_open_api import Auth, Client, Protobuf, TcpProtocol
from tests.sdk.receipts import Receipt, read
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import react
from twisted.logger import LogLevel, eventAsText, globalLogPublisher

ANSWER_S = 15  # the client sends once a second
WEEK_MS = 604_800_000
MINUTE_MS = 60_000
PX = 100_000
CONSENT_PATH = "/my/settings/openapi/grantingaccess/"
CAME_BACK = "http://localhost:8765/came/back"
PROTECTION_ORDERS = b"\x18\x01"  # ReconcileReq.returnProtectionOrders = true, younger than the client's schema

request: Callable[..., Any] = Protobuf.get


def say(**line: Any) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Talk:
    """Asks through the client, and keeps everything that it hears in order."""

    def __init__(self, host: str, port: int) -> None:
        self.heard: list[Receipt] = []
        self._asked_at: dict[str, int] = {}
        self._waiting: list[tuple[Callable[[Receipt], bool], Deferred]] = []
        self._client = Client(host, port, TcpProtocol)
        self._client.setMessageReceivedCallback(self._hear)
        self._client.setDisconnectedCallback(self._disconnected)
        self._gone = Deferred()

    async def connect(self) -> None:
        self._client.startService()
        await self._client.whenConnected(failAfterFailures=1)

    async def leave(self) -> None:
        """Close the connection and wait until it is closed."""
        self._client.stopService()
        await self._gone

    def _disconnected(self, _client: Client, reason: Any) -> None:
        say(disconnected=str(reason.value))
        if not self._gone.called:
            self._gone.callback(None)

    def _hear(self, _client: Client, envelope: Any) -> None:
        receipt = read(envelope)
        self.heard.append(receipt)
        say(**receipt._asdict())
        for wanted, deferred in [*self._waiting]:
            if wanted(receipt):
                self._waiting.remove((wanted, deferred))
                deferred.callback(receipt)

    def mark(self, step: str) -> None:
        """Note that ``step`` begins here."""
        self._asked_at[step] = len(self.heard)

    async def ask(self, **steps: Any) -> list[Receipt]:
        """Send one request a step, then wait for the first answer to each."""
        answers = []
        for step, message in steps.items():
            self.mark(step)
            answers.append(self._client.send(message, clientMsgId=step, responseTimeoutInSeconds=ANSWER_S))
        return [read(await answer) for answer in answers]

    async def follow(self, step: str, wanted: Callable[[Receipt], bool]) -> Receipt:
        """Return the first receipt since ``step`` began that is ``wanted``, or wait for it."""
        for receipt in self.heard[self._asked_at[step] :]:
            if wanted(receipt):
                return receipt
        deferred = Deferred()
        deferred.addTimeout(ANSWER_S, reactor)
        self._waiting.append((wanted, deferred))
        found: Receipt = await deferred
        return found


def execution(kind: str, *, by_exchange: bool = False) -> Callable[[Receipt], bool]:
    """Return what knows an execution event of this kind."""
    return lambda receipt: (
        receipt.body.get("executionType") == kind and receipt.body.get("isServerEvent", False) is by_exchange
    )


def named(name: str) -> Callable[[Receipt], bool]:
    """Return what knows a message by its name."""
    return lambda receipt: receipt.name == f"ProtoOA{name}"


def consent(auth: Auth, token_url: str) -> str:
    """Say yes on the exchange's page as a browser would; return the code that the redirect carries."""
    page = urlsplit(auth.getAuthUri("trading", baseUri=urljoin(token_url, CONSENT_PATH)))
    connection = HTTPConnection(page.hostname or "", page.port or 0)
    connection.request("GET", f"{page.path}?{page.query}")
    location = connection.getresponse().headers["Location"]
    connection.close()
    return parse_qs(urlsplit(location).query)["code"][0]


class Session:
    """The steps, in their order; each stage leaves what the next one needs."""

    def __init__(self, exchange: dict[str, Any]) -> None:
        self.exchange = exchange
        self.talk = Talk(exchange["host"], exchange["port"])
        self.account = {"ctidTraderAccountId": exchange["account_id"]}
        self.symbol: dict[str, Any] = {"symbolId": exchange["symbol_id"]}
        self.bid_px = self.now_ms = 0  # of the exchange's market

    async def introduce(self) -> None:
        """Authorise the application, then the account; first the wrong way."""
        name, token = {"clientId": self.exchange["client_id"]}, {"accessToken": self.exchange["access_token"]}
        app = request("ApplicationAuthReq", **name, clientSecret=self.exchange["client_secret"])
        account = request("AccountAuthReq", **self.account, **token)
        await self.talk.ask(
            before_app=request("GetAccountListByAccessTokenReq", **token),
            wrong_secret=request("ApplicationAuthReq", **name, clientSecret="not the secret"),
            app=app,
            app_again=app,
            version=request("VersionReq"),
        )
        await self.talk.ask(
            account_list=request("GetAccountListByAccessTokenReq", **token),
            profile=request("GetCtidProfileByTokenReq", **token),
            before_account=request("TraderReq", **self.account),
            account=account,
            account_again=account,
        )

    async def look(self) -> None:
        """Read the reference data and the market."""
        account, one = self.account, {**self.account, **self.symbol}
        trader, assets, _, _, _ = await self.talk.ask(
            trader=request("TraderReq", **account),
            assets=request("AssetListReq", **account),
            symbols=request("SymbolsListReq", **account),
            categories=request("SymbolCategoryListReq", **account),
            asset_classes=request("AssetClassListReq", **account),
        )
        chain = {
            "firstAssetId": next(one["assetId"] for one in assets.body["asset"] if one["name"] == "EUR"),
            "lastAssetId": trader.body["trader"]["depositAssetId"],
        }
        symbol, _, _, _, _ = await self.talk.ask(
            symbol=request("SymbolByIdReq", **account, symbolId=[one["symbolId"]]),
            conversion=request("SymbolsForConversionReq", **account, **chain),
            bars_before_spots=request("SubscribeLiveTrendbarReq", **one, period="M1"),
            spots=request("SubscribeSpotsReq", **account, symbolId=[one["symbolId"]], subscribeToSpotTimestamp=True),
            spots_again=request("SubscribeSpotsReq", **account, symbolId=[one["symbolId"]]),
        )
        self.symbol = symbol.body["symbol"][0]
        spot = await self.talk.follow("spots", lambda receipt: {"bid", "ask"} <= receipt.body.keys())
        self.bid_px, self.now_ms = spot.body["bid"], spot.body["timestamp"]
        past = {"fromTimestamp": self.now_ms - WEEK_MS, "toTimestamp": self.now_ms}
        await self.talk.ask(
            live_bars=request("SubscribeLiveTrendbarReq", **one, period="H1"),
            bars=request("GetTrendbarsReq", **one, **past, period="H1"),
            ticks=request("GetTickDataReq", **one, **past, type="BID"),
            margin=request(
                "ExpectedMarginReq", **one, volume=[self.symbol["minVolume"], 10 * self.symbol["minVolume"]]
            ),
            margin_calls=request("MarginCallListReq", **account),
        )
        await self.talk.follow("live_bars", lambda receipt: "trendbar" in receipt.body)
        if "leverageId" in self.symbol:
            await self.talk.ask(
                leverage=request("GetDynamicLeverageByIDReq", **account, leverageId=self.symbol["leverageId"])
            )

    def distance_px(self, percent: int) -> int:
        """Return so much of the price in whole points."""
        point_px = 10 ** (5 - self.symbol["digits"])
        return int(self.bid_px * percent // 100 // point_px * point_px)

    def order(self, volume: int, kind: str = "MARKET", **fields: Any) -> Any:
        """Return a request to buy."""
        one = {**self.account, "symbolId": self.symbol["symbolId"], "tradeSide": "BUY"}
        return request("NewOrderReq", **one, orderType=kind, volume=volume, **fields)

    async def trade(self) -> None:
        """Send two orders that are refused and one that is filled and protected; drop a leg; close in two parts."""
        least, account = self.symbol["minVolume"], self.account
        stops: dict[str, Any] = {"relativeStopLoss": self.distance_px(5), "relativeTakeProfit": self.distance_px(10)}
        await self.talk.ask(
            bad_volume=self.order(least - 1),
            absolute_stop=self.order(least, stopLoss=self.distance_px(95) / PX),
            entry=self.order(2 * least, **stops, label="certified", comment="a comment", clientOrderId="entry-1"),
        )
        protected = await self.talk.follow("entry", execution("ORDER_ACCEPTED", by_exchange=True))
        position = protected.body["position"]
        ours = {**account, "positionId": position["positionId"]}
        protections = request("ReconcileReq", **account)
        protections.MergeFromString(PROTECTION_ORDERS)
        await self.talk.ask(
            positions=request("ReconcileReq", **account),
            protections=protections,
            unrealized=request("GetPositionUnrealizedPnLReq", **account),
            drop_target=request("AmendPositionSLTPReq", **ours, stopLoss=position["stopLoss"]),
            after_drop=request("ReconcileReq", **account),
        )
        await self.talk.ask(close_half=request("ClosePositionReq", **ours, volume=least))
        await self.talk.follow("close_half", execution("ORDER_REPLACED", by_exchange=True))
        await self.talk.ask(close=request("ClosePositionReq", **ours, volume=least))
        await self.talk.follow("close", execution("ORDER_CANCELLED", by_exchange=True))
        await self.talk.ask(close_again=request("ClosePositionReq", **ours, volume=least))
        await self.review(ours)

    async def review(self, ours: dict[str, int]) -> None:
        """Ask for what was traded in every way that there is."""
        closed = await self.talk.follow("close", execution("ORDER_FILLED"))
        deal, account = closed.body["deal"], self.account
        at_ms = deal["executionTimestamp"]
        lately = {"fromTimestamp": at_ms - 60 * MINUTE_MS, "toTimestamp": at_ms + MINUTE_MS}
        await self.talk.ask(
            trader_after=request("TraderReq", **account),
            nothing_open=request("ReconcileReq", **account),
            deals=request("DealListReq", **account, **lately),
            orders=request("OrderListReq", **account, **lately),
            position_deals=request("DealListByPositionIdReq", **ours, **lately),
            position_orders=request("OrderListByPositionIdReq", **ours),
            order_details=request("OrderDetailsReq", **account, orderId=deal["orderId"]),
            offsets=request("DealOffsetListReq", **account, dealId=deal["dealId"]),
            cash_flow=request("CashFlowHistoryListReq", **account, **lately),
            no_order=request("OrderDetailsReq", **account, orderId=deal["orderId"] + 1_000_000),
        )

    async def rest(self) -> None:
        """Place an order far from the market, amend it and cancel it twice; hear no more quotes."""
        least, account = self.symbol["minVolume"], self.account
        levels = {"stopLoss": self.distance_px(80) / PX, "takeProfit": self.distance_px(110) / PX}
        (placed,) = await self.talk.ask(
            limit=self.order(least, "LIMIT", limitPrice=self.distance_px(90) / PX, **levels, clientOrderId="limit-1")
        )
        order = {**account, "orderId": placed.body["order"]["orderId"]}
        await self.talk.ask(
            amend_limit=request(
                "AmendOrderReq", **order, volume=2 * least, limitPrice=self.distance_px(85) / PX, **levels
            ),
            pending=request("ReconcileReq", **account),
            cancel_limit=request("CancelOrderReq", **order),
            cancel_again=request("CancelOrderReq", **order),
            unsubscribe_bars=request(
                "UnsubscribeLiveTrendbarReq", **account, symbolId=self.symbol["symbolId"], period="H1"
            ),
        )
        await self.talk.follow("spots", lambda receipt: receipt.body.get("timestamp", 0) > self.now_ms)
        await self.talk.ask(unsubscribe=request("UnsubscribeSpotsReq", **account, symbolId=[self.symbol["symbolId"]]))

    async def renew(self) -> None:
        """Exchange the tokens over the socket, then over HTTP; try the used ones each time."""
        used = self.exchange["access_token"], self.exchange["refresh_token"]
        (new,) = await self.talk.ask(refresh=request("RefreshTokenReq", refreshToken=used[1]))
        await self.talk.follow("refresh", named("AccountDisconnectEvent"))
        await self.talk.ask(
            used_token=request("AccountAuthReq", **self.account, accessToken=used[0]),
            used_refresh=request("RefreshTokenReq", refreshToken=used[1]),
            new_token=request("AccountAuthReq", **self.account, accessToken=new.body["accessToken"]),
            trader_renewed=request("TraderReq", **self.account),
        )
        auth, url = (
            Auth(self.exchange["client_id"], self.exchange["client_secret"], CAME_BACK),
            self.exchange["token_url"],
        )
        self.talk.mark("http_refresh")
        pair = auth.refreshToken(new.body["refreshToken"], baseUri=url)
        say(http="refresh", reply=pair)
        say(http="used_refresh", reply=auth.refreshToken(new.body["refreshToken"], baseUri=url))
        code = consent(auth, url)
        granted = auth.getToken(code, baseUri=url)
        say(http="code", reply=granted)
        say(http="used_code", reply=auth.getToken(code, baseUri=url))
        await self.talk.follow("http_refresh", named("AccountDisconnectEvent"))
        await self.talk.ask(
            http_used_token=request("AccountAuthReq", **self.account, accessToken=new.body["accessToken"]),
            http_token=request("AccountAuthReq", **self.account, accessToken=pair["accessToken"]),
            code_token=request("GetAccountListByAccessTokenReq", accessToken=granted["accessToken"]),
        )

    async def run(self) -> None:
        """Run every stage and leave in order."""
        await self.talk.connect()
        for stage in (self.introduce, self.look, self.trade, self.rest, self.renew):
            await stage()
        await self.talk.ask(logout=request("AccountLogoutReq", **self.account))
        await self.talk.follow("logout", named("AccountDisconnectEvent"))
        await self.talk.leave()
        say(census=Counter(receipt.type for receipt in self.talk.heard))


def tell_failure(event: dict[str, Any]) -> None:
    """Print what went wrong inside the client or Twisted, where it would only be logged."""
    if event.get("log_level") is LogLevel.critical:
        say(failure=eventAsText(event))


if __name__ == "__main__":
    globalLogPublisher.addObserver(tell_failure)
    given = json.loads(Path(sys.argv[1]).read_text())
    react(lambda _reactor: ensureDeferred(Session(given).run()))
