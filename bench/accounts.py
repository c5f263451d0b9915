"""A thousand accounts on one connection: application auth, every account's auth, and every account's reconcile.

The exchange is in a process of its own and its limits of requests are off, which are knobs; the client is the bot's own
link over verified TLS, its limits off as well. Each account holds one position. ``together_s`` asks for all accounts at
once and waits for all answers, as a bot of many accounts would after a reconnect; ``in_turn_s`` asks for the next only
after the answer. Both count from the connection's first byte, TLS handshake included. Aim: under 5 s.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from bench.exchange import Plan, opened_beside
from bench.figures import machine
from bench.visitor import Visitor
from palmbot.exchange.premises import Ready
from palmbot.protocol.messages import pb

ACCOUNTS = 1_000


def measure() -> dict[str, Any]:
    """Return the seconds that a thousand accounts take, asked for together and in turn."""
    with opened_beside(Plan(accounts=ACCOUNTS, has_positions=True)) as exchange:
        together_s, positions = asyncio.run(_together(exchange.ready))
        in_turn_s, _ = asyncio.run(_in_turn(exchange.ready))
    return {
        "accounts": ACCOUNTS,
        "positions": positions,
        "together_s": round(together_s, 2),
        "in_turn_s": round(in_turn_s, 2),
        "aim": "under 5 s",
        "machine": machine(),
    }


async def _together(ready: Ready) -> tuple[float, int]:
    begun = time.perf_counter()
    visitor = await Visitor.dial(ready)
    numbers = range(1, ACCOUNTS + 1)
    await asyncio.gather(*(visitor.open_account(number) for number in numbers))
    found = await asyncio.gather(*(_positions(visitor, number) for number in numbers))
    seconds = time.perf_counter() - begun
    visitor.link.close("done")
    return seconds, sum(found)


async def _in_turn(ready: Ready) -> tuple[float, int]:
    begun = time.perf_counter()
    visitor = await Visitor.dial(ready)
    found = 0
    for number in range(1, ACCOUNTS + 1):
        await visitor.open_account(number)
        found += await _positions(visitor, number)
    seconds = time.perf_counter() - begun
    visitor.link.close("done")
    return seconds, found


async def _positions(visitor: Visitor, account_id: int) -> int:
    answer = await visitor.link.need(pb.ReconcileReq(ctidTraderAccountId=account_id))
    return len(cast("pb.ReconcileRes", answer).position)
