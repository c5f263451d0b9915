"""The smallest cTrader there is: one account, a table of answers that a test changes, events that a test sends.

It speaks through the real session in the server's role, so it may be dialled over TLS or over a simulated network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from palmbot.protocol.events import Received
from palmbot.protocol.messages import Message, pb
from palmbot.protocol.session import Role, Session, SessionConfig

ACCOUNT, LOGIN = 7_001, 1_007
SYMBOL, PAIR = 22, 31  # ids of PALMOIL and of the pair that converts its money
MYR, USD, PALM = 2, 5, 9  # assets
SECRET, TOKEN = "s3cret-of-the-app", "t0ken-of-the-account"

Answers = Callable[[Message], Iterable[Message]]
M = TypeVar("M", bound=Message)


def error(code: str, text: str = "", **fields: Any) -> pb.ErrorRes:
    return pb.ErrorRes(errorCode=code, description=text, **fields)


def spot(bid_px: int | None, ask_px: int | None, ts_ms: int = 0, symbol_id: int = SYMBOL) -> pb.SpotEvent:
    return pb.SpotEvent(
        ctidTraderAccountId=ACCOUNT, symbolId=symbol_id, bid=bid_px, ask=ask_px, timestamp=ts_ms or None
    )


def silence(_: Message) -> list[Message]:
    return []


def is_event(message: Message) -> bool:
    """Return whether ``message`` answers nobody."""
    return isinstance(message, pb.SpotEvent) or (isinstance(message, pb.ExecutionEvent) and message.isServerEvent)


class Peer:
    """What all connections of the peer share.

    ``answers`` maps the class of a request to what it is answered with; an empty answer is silence.
    """

    def __init__(self, now_ms: Callable[[], int], deposit_asset_id: int = MYR) -> None:
        self.now_ms = now_ms
        self.connections: list[PeerConnection] = []
        self.heard: list[Message] = []
        self.deposit_asset_id = deposit_asset_id
        self.balance = 10_000_000
        self.positions: list[pb.Position] = []
        self.deals: list[pb.Deal] = []
        self.bars: list[pb.Trendbar] = []
        self.first_spots: list[pb.SpotEvent] = []  # after each subscription
        self.answers: dict[type[Message], Answers] = {
            pb.ApplicationAuthReq: lambda _: [pb.ApplicationAuthRes()],
            pb.GetAccountListByAccessTokenReq: lambda _: [accounts(LOGIN)],
            pb.AccountAuthReq: lambda _: [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT)],
            pb.TraderReq: lambda _: [self.trader()],
            pb.SymbolsListReq: lambda _: [symbols()],
            pb.SymbolByIdReq: lambda _: [full_symbol()],
            pb.SymbolsForConversionReq: lambda _: [chain()],
            pb.SubscribeSpotsReq: lambda _: [pb.SubscribeSpotsRes(ctidTraderAccountId=ACCOUNT), *self.first_spots],
            pb.GetTrendbarsReq: lambda request: [self.trendbars(cast("pb.GetTrendbarsReq", request))],
            pb.ReconcileReq: lambda _: [pb.ReconcileRes(ctidTraderAccountId=ACCOUNT, position=self.positions)],
            pb.DealListByPositionIdReq: lambda _: [
                pb.DealListByPositionIdRes(ctidTraderAccountId=ACCOUNT, deal=self.deals, hasMore=False)
            ],
        }

    def connection(self) -> PeerConnection:
        """Return the protocol of the next connection."""
        self.connections.append(PeerConnection(self))
        return self.connections[-1]

    @property
    def last(self) -> PeerConnection:
        return self.connections[-1]

    def asked(self, kind: type[M]) -> list[M]:
        """Return the requests of ``kind`` that were heard on all connections."""
        return [each for each in self.heard if isinstance(each, kind)]

    def trader(self) -> pb.TraderRes:
        trader = pb.Trader(
            ctidTraderAccountId=ACCOUNT,
            balance=self.balance,
            depositAssetId=self.deposit_asset_id,
            leverageInCents=2_000,
            moneyDigits=2,
        )
        return pb.TraderRes(ctidTraderAccountId=ACCOUNT, trader=trader)

    def trendbars(self, request: pb.GetTrendbarsReq) -> pb.GetTrendbarsRes:
        """Return the newest bars up to what is asked for, newest first: no order is promised."""
        until = request.toTimestamp // 60_000
        fitting = [bar for bar in self.bars if bar.utcTimestampInMinutes <= until]
        newest = sorted(fitting, key=lambda bar: -bar.utcTimestampInMinutes)[: request.count]
        return pb.GetTrendbarsRes(ctidTraderAccountId=ACCOUNT, period=request.period, trendbar=newest, hasMore=True)


class PeerConnection(asyncio.Protocol):
    """One connection, the server's end."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.session = Session(Role.SERVER, peer.now_ms(), SessionConfig(silence_ms=10**9))
        self.transport: asyncio.Transport
        self.is_lost = True  # or not there yet
        self.ids_heard: list[str] = []
        self._ids: dict[type[Message], str] = {}  # of the newest request of each class
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.is_lost = cast("asyncio.Transport", transport), False
        self._beat()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.is_lost = True
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.session.receive_data(data, self.peer.now_ms())
        while (event := self.session.next_event()) is not None:
            if isinstance(event, Received):
                self.peer.heard.append(event.message)
                self._ids[type(event.message)] = event.client_msg_id
                self.ids_heard.append(event.client_msg_id)
                for answer in self.peer.answers.get(type(event.message), silence)(event.message):
                    self.session.send(answer, self.peer.now_ms(), "" if is_event(answer) else event.client_msg_id)
        self.flush()

    def send(self, *messages: Message, answering: type[Message] | None = None) -> None:
        """Send ``messages`` in one piece, as answers to the newest request of a class, or as events."""
        for message in messages:
            client_msg_id = "" if answering is None or is_event(message) else self._ids[answering]
            self.session.send(message, self.peer.now_ms(), client_msg_id)
        self.flush()

    def raw(self, payload_type: int, payload: bytes) -> None:
        """Send a message that nobody knows."""
        self.session.send_payload(payload_type, payload, self.peer.now_ms())
        self.flush()

    def flush(self) -> None:
        if not self.is_lost:
            self.transport.write(self.session.data_to_send())

    def _beat(self) -> None:
        self.session.handle_timer(self.peer.now_ms())
        self.flush()
        self._timer = asyncio.get_running_loop().call_later(5.0, self._beat)


# -- what it knows


def accounts(*logins: int, is_live: bool = False) -> pb.GetAccountListByAccessTokenRes:
    listed = [
        pb.CtidTraderAccount(ctidTraderAccountId=ACCOUNT - LOGIN + login, isLive=is_live, traderLogin=login)
        for login in logins
    ]
    return pb.GetAccountListByAccessTokenRes(
        accessToken=TOKEN, permissionScope=pb.SCOPE_TRADE, ctidTraderAccount=listed
    )


def symbols() -> pb.SymbolsListRes:
    listed = [
        pb.LightSymbol(symbolId=1, symbolName="EURUSD", baseAssetId=1, quoteAssetId=USD),
        pb.LightSymbol(symbolId=SYMBOL, symbolName="PALMOIL", baseAssetId=PALM, quoteAssetId=MYR),
        pb.LightSymbol(symbolId=PAIR, symbolName="USDMYR", baseAssetId=USD, quoteAssetId=MYR),
    ]
    return pb.SymbolsListRes(ctidTraderAccountId=ACCOUNT, symbol=listed)


def chain() -> pb.SymbolsForConversionRes:
    return pb.SymbolsForConversionRes(ctidTraderAccountId=ACCOUNT, symbol=[symbols().symbol[2]])


def full_symbol(digits: int = 3) -> pb.SymbolByIdRes:
    return pb.SymbolByIdRes(
        ctidTraderAccountId=ACCOUNT, symbol=[pb.Symbol(symbolId=SYMBOL, digits=digits, pipPosition=0)]
    )


def position(number: int = 501, volume_cu: int = 2_500, label: str = "", **fields: Any) -> pb.Position:
    trade = pb.TradeData(symbolId=SYMBOL, volume=volume_cu, tradeSide=pb.BUY, openTimestamp=1_000, label=label)
    status = pb.POSITION_STATUS_OPEN if volume_cu > 0 else pb.POSITION_STATUS_CREATED
    given = {"swap": 0, "moneyDigits": 2} | fields
    return pb.Position(positionId=number, tradeData=trade, positionStatus=status, **given)


def order(number: int, kind: pb.OrderType, position_id: int = 501, executed_cu: int = 0, **fields: Any) -> pb.Order:
    trade = pb.TradeData(symbolId=SYMBOL, volume=2_500, tradeSide=pb.BUY)
    return pb.Order(
        orderId=number,
        tradeData=trade,
        orderType=kind,
        orderStatus=pb.ORDER_STATUS_FILLED if executed_cu else pb.ORDER_STATUS_ACCEPTED,
        executedVolume=executed_cu,
        positionId=position_id,
        utcLastUpdateTimestamp=2_000 + number,
        **fields,
    )


def deal(number: int, price: float, order_id: int = 901, ts_ms: int = 2_100, **fields: Any) -> pb.Deal:
    return pb.Deal(
        dealId=number,
        orderId=order_id,
        positionId=501,
        volume=2_500,
        filledVolume=2_500,
        symbolId=SYMBOL,
        createTimestamp=ts_ms - 100,
        executionTimestamp=ts_ms,
        executionPrice=price,
        tradeSide=pb.BUY,
        dealStatus=pb.FILLED,
        commission=-250,
        moneyDigits=2,
        **fields,
    )


def execution(kind: pb.ExecutionType, *, server_made: bool = False, **parts: Any) -> pb.ExecutionEvent:
    return pb.ExecutionEvent(
        ctidTraderAccountId=ACCOUNT,
        executionType=kind,
        isServerEvent=server_made,
        **parts,
    )


def entry(name: str) -> list[pb.ExecutionEvent]:
    """Return what a market order with both levels leads to (sheet 6.1)."""
    market = order(901, pb.MARKET, clientOrderId=name)
    filled = order(901, pb.MARKET, executed_cu=2_500, clientOrderId=name)
    guard = order(902, pb.STOP_LOSS_TAKE_PROFIT, closingOrder=True, stopPrice=3_940.0, limitPrice=4_080.5)
    shell = position(volume_cu=0, price=0.0, label=name)
    opened = position(label=name, price=4_000.5, commission=-250, usedMargin=500_000)
    guarded = position(label=name, price=4_000.5, commission=-250, stopLoss=3_940.0, takeProfit=4_080.5)
    return [
        execution(pb.ORDER_ACCEPTED, order=market, position=shell),
        execution(pb.ORDER_FILLED, order=filled, position=opened, deal=deal(701, 4_000.5)),
        execution(pb.ORDER_ACCEPTED, order=guard, position=guarded, server_made=True),
    ]
