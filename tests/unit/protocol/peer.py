"""Two sessions joined by a wire that the test moves by hand, and messages to send over it."""

from __future__ import annotations

from palmbot.protocol.events import Event
from palmbot.protocol.messages import pb
from palmbot.protocol.session import Role, Session, SessionConfig

ACCOUNT_ID = 1_000_001


def taken(session: Session) -> list[Event]:
    """Return every event that waits."""
    events = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


def pair(now_ms: int = 0, config: SessionConfig | None = None) -> tuple[Session, Session]:
    """Return both ends of a connection: client, server."""
    return Session(Role.CLIENT, now_ms, config), Session(Role.SERVER, now_ms, config)


def carry(sender: Session, receiver: Session, now_ms: int = 0) -> list[Event]:
    """Move what ``sender`` has to say; return what ``receiver`` makes of it."""
    receiver.receive_data(sender.data_to_send(), now_ms)
    return taken(receiver)


def application_auth() -> pb.ApplicationAuthReq:
    """A request that authorises the application."""
    return pb.ApplicationAuthReq(clientId="cid", clientSecret="sec")


def account_auth(account_id: int = ACCOUNT_ID) -> pb.AccountAuthReq:
    """A request that authorises an account."""
    return pb.AccountAuthReq(ctidTraderAccountId=account_id, accessToken="token")


def order(order_type: pb.OrderType = pb.MARKET) -> pb.NewOrderReq:
    """A request for an order of 1000 cu."""
    return pb.NewOrderReq(
        ctidTraderAccountId=ACCOUNT_ID, symbolId=1, orderType=order_type, tradeSide=pb.BUY, volume=1_000
    )


def execution(execution_type: pb.ExecutionType, executed_cu: int | None = None) -> pb.ExecutionEvent:
    """An event about that order, which has been filled so far by ``executed_cu``; None: it does not say."""
    return pb.ExecutionEvent(
        ctidTraderAccountId=ACCOUNT_ID,
        executionType=execution_type,
        order=pb.Order(
            orderId=1,
            tradeData=pb.TradeData(symbolId=1, volume=1_000, tradeSide=pb.BUY),
            orderType=pb.MARKET,
            orderStatus=pb.ORDER_STATUS_ACCEPTED,
            executedVolume=executed_cu,
        ),
    )
