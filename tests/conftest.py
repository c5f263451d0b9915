"""What every test may lean on: the recorded market data, no network, reproducible search, a compiled core."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from palmbot.units import HOUR_MS, PX

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
CONNECTING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
RESOLVING = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}

settings.register_profile("house", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")


class NetworkForbiddenError(RuntimeError):
    """A test reached for another machine."""


def is_here(host: object) -> bool:
    """Return whether ``host`` is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(name).split("%")[0]).is_loopback
    except ValueError:
        return False


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections and look-ups that leave this machine; an audit hook, so asyncio's are seen too.

    Raises:
        NetworkForbiddenError: the target is not this machine.
    """
    if event in CONNECTING:
        address = arguments[1]
        if isinstance(address, tuple) and not is_here(address[0]):
            raise NetworkForbiddenError(f"{event} {address}: tests stay on this machine")
    elif event in RESOLVING and not is_here(arguments[0]):
        raise NetworkForbiddenError(f"{event} {arguments[0]}: tests stay on this machine")


def compile_core() -> None:
    """Replay three bars: that compiles the four entry points and all below them into numba's cache on disk."""
    from palmbot.core.replay import replay  # noqa: PLC0415 - numba is slow to import and few runs come here
    from palmbot.core.tape import new_tape  # noqa: PLC0415
    from palmbot.core.types import BarArrays, Instrument, Params, RollArrays, SentimentArrays  # noqa: PLC0415
    from palmbot.core.world import Run  # noqa: PLC0415

    none = np.zeros(0, np.int64)
    ts_ms = np.arange(3) * HOUR_MS
    price_px = np.full(3, 4_000 * PX)
    bars = BarArrays(ts_ms, ts_ms + HOUR_MS, price_px, price_px, price_px, price_px, none)
    rolls, sentiment = RollArrays(none, none), SentimentArrays(none, np.zeros(0))
    replay(Run(Params(), Instrument()), 10_000_000, bars, rolls, sentiment, new_tape(1, 3))


def pytest_configure(config: pytest.Config) -> None:
    """Close the network unless the real servers are asked for; compile the core once, before workers all would."""
    if config.getoption("markexpr") != "live":
        sys.addaudithook(refuse_network)
    is_worker = hasattr(config, "workerinput")
    if config.getoption("numprocesses", None) and not is_worker:
        compile_core()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data beside the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the recorded market data (../shared/data) is not on this machine")
    return SHARED_DATA
