"""How long Spotware's own client takes from a spot to the order: run by ``wire_latency`` in that client's environment.

``python bench/official.py READY ACCOUNT COUNT``, READY being the line of an exchange. The clock starts when the bytes
that hold the spot are handed to the client's protocol and stops when the order's bytes are handed to its transport; in
between, the callback of the spot sends a market order. The client sends what it was given once a second, so the moment
of each order within that second is drawn. Prints one list of nanoseconds.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from ctrader_open_api import Client, Protobuf, TcpProtocol
from ctrader_open_api.messages.OpenApiCommonMessages_pb2 import ProtoMessage
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater, react

NEW_ORDER, SPOT = 2_106, 2_131
ANSWER_S = 15

loop: Any = reactor
request: Any = Protobuf.get


class Stamping(TcpProtocol):  # type: ignore[misc] # the client has no types
    """The client's protocol, with a stamp on the way in and one on the way out."""

    came_ns = 0
    left_ns = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Note when bytes come."""
        Stamping.came_ns = time.perf_counter_ns()
        super().dataReceived(data)

    def sendString(self, string: bytes) -> None:  # noqa: N802 - Twisted's name
        """Note when an order's bytes leave."""
        super().sendString(string)
        if ProtoMessage.FromString(string).payloadType == NEW_ORDER:
            Stamping.left_ns = time.perf_counter_ns()


class Orders:
    """Sends an order at a spot, as soon as one comes after it was told to."""

    def __init__(self, client: Client, order: dict[str, Any]) -> None:
        self.is_armed = False
        self.begun_ns = 0
        self.answer: Any = None
        self._client = client
        self._order = order

    def hear(self, _client: Client, envelope: Any) -> None:  # noqa: ANN401 - the client has no types
        """Act on a spot."""
        if envelope.payloadType == SPOT and self.is_armed:
            self.is_armed, self.begun_ns = False, Stamping.came_ns
            self.answer = self._client.send(request("NewOrderReq", **self._order), responseTimeoutInSeconds=ANSWER_S)


async def measure(ready: dict[str, Any], account_id: int, count: int) -> list[int]:
    """Return the nanoseconds of ``count`` orders."""
    client = Client(ready["host"], ready["port"], Stamping)
    account = {"ctidTraderAccountId": account_id}
    order = {**account, "symbolId": ready["symbol_id"], "orderType": "MARKET", "tradeSide": "BUY", "volume": 25}
    orders = Orders(client, order)
    client.setMessageReceivedCallback(orders.hear)
    client.startService()
    await client.whenConnected(failAfterFailures=1)
    for message in (
        request("ApplicationAuthReq", clientId=ready["client_id"], clientSecret=ready["client_secret"]),
        request("AccountAuthReq", **account, accessToken=ready["access_token"]),
        request("SubscribeSpotsReq", **account, symbolId=[ready["symbol_id"]], subscribeToSpotTimestamp=True),
    ):
        await client.send(message, responseTimeoutInSeconds=ANSWER_S)
    rng, taken_ns = random.Random(1), []
    for _ in range(count):
        await deferLater(loop, rng.uniform(0.0, 1.0))
        orders.answer, orders.is_armed = None, True
        while orders.answer is None:
            await deferLater(loop, 0.01)
        await orders.answer
        taken_ns.append(Stamping.left_ns - orders.begun_ns)
    client.stopService()
    return taken_ns


async def main() -> None:
    """Measure and print."""
    print(json.dumps(await measure(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))


if __name__ == "__main__":
    react(lambda _reactor: ensureDeferred(main()))
