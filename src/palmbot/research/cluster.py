"""A search fanned out over a Dask cluster, where one machine is too small: the same results, to the bit.

The series goes to every worker once; then parts of the table are traded there, each on one thread, and come back in
order. So do the searches of an examination, each of them whole. A worker that dies costs its parts a second try, what
was lost with it is sent again. A cluster that has no worker for a while, or no scheduler, ends the search, and what
came back stays.

Dask sends pickles, so whoever speaks to a scheduler runs code on its workers and here. Hence: off this machine by
``tls://`` alone, with certificates on both sides (Dask's own ``distributed.comm.tls`` settings).
"""

from __future__ import annotations

import logging
import pickle
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from ipaddress import ip_address
from itertools import islice
from ssl import SSLContext
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from palmbot import CORE_HASH
from palmbot.errors import ConfigError, PalmbotError, RefusedError
from palmbot.research.evaluate import parts_of
from palmbot.research.sweep import Series, Sweep, sweep
from palmbot.research.sweep_ledger import Rows
from palmbot.research.sweep_params import Table
from palmbot.research.trials import identity_of

CONNECT_S: Final = 5
WORKERS_S: Final = 10  # for the first worker to appear
POLL_S: Final = 1
PATIENCE: Final = 30  # polls without any worker before the cluster counts as lost
TRIES: Final = 5  # of one part
AHEAD: Final = 4  # parts under way a thread of the cluster


@lru_cache(maxsize=2)
def _opened(parcel: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    """Return what ``parcel`` holds, made ready once in each worker, where it is needed and not on the way."""
    return pickle.loads(parcel)  # noqa: S301 - from the client: it may run code there anyway


def traded(series: bytes, part: Table, balance_minor: int) -> tuple[str, Rows]:
    """Return the results of ``part``, and by which rules: this runs in a worker."""
    return CORE_HASH, sweep(_opened(series), part, balance_minor).results


def worked(work: bytes, number: int) -> tuple[str, Any]:
    """Return what ``work`` comes to for ``number``, and by which rules: this runs in a worker."""
    return CORE_HASH, _opened(work)(number)


class Address(NamedTuple):
    """Where a scheduler listens."""

    scheme: str
    host: str
    port: int
    text: str


def safe_address(text: str) -> Address:
    """Return the address that ``text`` is; refuse one off this machine that is not encrypted and certified.

    Raises:
        RefusedError: ``DASK_NOT_SAFE``.
        ConfigError: it is no address.
    """
    whole = text if "://" in text else f"tcp://{text}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.scheme not in {"tcp", "tls"}:
        todo = "Write the scheduler's address, for instance tcp://127.0.0.1:8786 or tls://host:8786."
        raise ConfigError("DASK_BAD_ADDRESS", todo, address=repr(text))
    if parts.scheme == "tcp" and not _is_loopback(host):
        todo = "Use tls:// with certificates: whoever listens on the way could run code on every machine."
        raise RefusedError("DASK_NOT_SAFE", todo, address=whole)
    return Address(parts.scheme, host, port, whole)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


@contextmanager
def on_cluster(address: str, balance_minor: int) -> Iterator[Cluster]:
    """Yield the cluster whose scheduler is at ``address``, to trade each combination from ``balance_minor``.

    Raises:
        RefusedError: the address is not safe.
        ConfigError: it is no address, or the extra ``cluster`` is not installed.
        PalmbotError: nobody answers there, or there is no worker; while it is used, that the cluster was lost.
    """
    client = _client(safe_address(address))
    try:
        yield Cluster(client, address, balance_minor)
    finally:
        client.close(timeout=CONNECT_S)


def _client(address: Address) -> Any:  # noqa: ANN401 - Dask has no types
    """Return a client of the cluster, with at least one worker."""
    try:
        dask: Any = import_module("distributed")  # the extra, heavy, and without types
    except ModuleNotFoundError as missing:
        todo = "Install it: pip install 'palm-oil-bot[cluster]'."
        raise ConfigError("CLUSTER_NOT_INSTALLED", todo, missing=missing.name) from None
    for name in [*logging.root.manager.loggerDict]:  # what goes wrong is said here, once
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    security = dask.Security()
    try:
        _greeted(address, security)
        client = dask.Client(
            address.text, timeout=CONNECT_S, security=security, set_as_default=False, direct_to_workers=False
        )
    except OSError as error:
        todo = "Start the scheduler (dask scheduler --host 127.0.0.1) and check its address."
        reason = repr(str(error)[:200])
        raise PalmbotError("CLUSTER_UNREACHABLE", todo, address=address.text, reason=reason) from error
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except OSError as error:
        client.close(timeout=CONNECT_S)
        todo = f"Start at least one: dask worker {address.text}."
        raise PalmbotError("CLUSTER_WITHOUT_WORKERS", todo, address=address.text) from error
    return client


def _greeted(address: Address, security: Any) -> None:  # noqa: ANN401 - Dask has no types
    """Wait for the scheduler's first word: Dask's own client would wait for a silent one for ever.

    Raises:
        OSError: nobody listens, or nobody speaks, or not with our certificates.
        ConfigError: there are no certificates.
    """
    context: SSLContext | None = security.get_connection_args("client")["ssl_context"]
    if address.scheme == "tls" and context is None:
        todo = "Name the certificates: DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__CLIENT__CERT and ...__CLIENT__KEY."
        raise ConfigError("DASK_NO_CERTIFICATES", todo, address=address.text)
    with socket.create_connection((address.host, address.port), CONNECT_S) as plain:
        plain.settimeout(CONNECT_S)
        if address.scheme == "tcp" or context is None:
            first = plain.recv(1)
        else:
            with context.wrap_socket(plain, server_hostname=address.host) as wrapped:
                first = wrapped.recv(1)
    if not first:
        raise ConnectionError("hung up at once")


@dataclass
class _Sent:
    """A pickled parcel, and where it lies on the cluster. ``key``: of the series that it holds."""

    parcel: bytes
    future: Any
    key: str = ""


@dataclass
class _Task:
    """A piece of work under way."""

    arguments: tuple[Any, ...]
    future: Any


class Cluster:
    """One connected cluster."""

    def __init__(self, client: Any, address: str, balance_minor: int) -> None:  # noqa: ANN401 - Dask has no types
        self._client = client
        self._address = address
        self._balance_minor = balance_minor
        self._series: _Sent | None = None

    def evaluate(self, series: Series, table: Table) -> Iterator[Sweep]:
        """Trade ``table``, in parts, in order: an ``Evaluate``."""
        key = identity_of(series, self._balance_minor)
        if self._series is None or self._series.key != key:
            self._series = self._send(pickle.dumps(series), key)
        parts = ((part, self._balance_minor) for part in parts_of(series, table))
        for results in self._in_order(traded, self._series, parts):
            yield Sweep(results, 1.0 - float(results["replayed"].mean()))

    def each(self, work: Callable[[int], Any], pieces: int) -> Generator[Any]:
        """Yield what ``work`` comes to for 0, 1, ... in order: ``Workers``."""
        sent = self._send(import_module("cloudpickle").dumps(work))  # also functions within functions
        yield from self._in_order(worked, sent, ((number,) for number in range(pieces)))

    def _in_order(
        self, function: Callable[..., Any], sent: _Sent, arguments: Iterator[tuple[Any, ...]]
    ) -> Generator[Any]:
        """Yield what ``function`` of what was ``sent`` and of each of ``arguments`` comes to."""
        waiting = deque[_Task]()
        ahead = AHEAD * max(sum(self._client.nthreads().values()), 1)
        while True:
            for each in islice(arguments, ahead - len(waiting)):
                waiting.append(_Task(each, self._submit(function, sent, each)))
            if not waiting:
                return
            yield self._result(function, sent, waiting[0])
            waiting.popleft()

    def _send(self, parcel: bytes, key: str = "") -> _Sent:
        """Send ``parcel`` to every worker that is there; others will have it of them."""
        try:
            return _Sent(parcel, self._client.scatter(parcel, broadcast=True, hash=False), key)
        except (OSError, RuntimeError, CancelledError) as error:
            raise self._lost(error) from error

    def _submit(self, function: Callable[..., Any], sent: _Sent, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - Dask has no types
        return self._client.submit(function, sent.future, *arguments, pure=False, retries=TRIES)

    def _result(self, function: Callable[..., Any], sent: _Sent, task: _Task) -> Any:  # noqa: ANN401 - of any work
        """Return the result of ``task``, whatever it takes.

        Raises:
            PalmbotError: the cluster is lost, or cannot do the work.
        """
        for _ in range(TRIES):
            try:
                core, result = self._awaited(task.future)
            except CancelledError as error:  # what was sent went with the worker that had it
                if self._client.status != "running":
                    raise self._lost(error) from error
                if sent.future.cancelled():
                    sent.future = self._send(sent.parcel).future
                task.future = self._submit(function, sent, task.arguments)
                continue
            if core != CORE_HASH:
                todo = "Install the same palm-oil-bot on every worker: these trade by other rules."
                raise PalmbotError("CLUSTER_OTHER_VERSION", todo, address=self._address, ours=CORE_HASH, theirs=core)
            return result
        raise self._lost(None)

    def _awaited(self, future: Any) -> tuple[str, Any]:  # noqa: ANN401 - Dask has no types
        """Wait for one result, as long as there are workers."""
        alone = 0
        while alone < PATIENCE:
            try:
                found: tuple[str, Any] = future.result(timeout=POLL_S)
            except CancelledError:
                raise
            except TimeoutError:
                alone = 0 if self._has_workers() else alone + 1
            except OSError as error:  # the connection, while a result was fetched: the work itself reads no file
                raise self._lost(error) from error
            except Exception as error:
                todo = "Look into the log of the workers; each needs palm-oil-bot and memory for the series."
                why = {"error": type(error).__name__, "message": repr(str(error)[:200])}
                raise PalmbotError("CLUSTER_FAILED", todo, address=self._address, **why) from error
            else:
                return found
        raise self._lost(None)

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except (OSError, RuntimeError):
            return False

    def _lost(self, error: BaseException | None) -> PalmbotError:
        todo = "Start the cluster again and repeat the command: what was tried is not tried again."
        reason = {} if error is None else {"reason": repr(str(error)[:200])}
        return PalmbotError("CLUSTER_LOST", todo, address=self._address, **reason)
