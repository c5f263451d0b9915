"""A cluster of real processes: a worker that dies costs a second try, a scheduler that dies keeps what was found.

And who is no cluster, or not a safe one, is refused in seconds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.research.sweep_series import series_of, walk

from palmbot.errors import ConfigError, PalmbotError, RefusedError
from palmbot.research import cluster as clusters
from palmbot.research import evaluate as evaluating
from palmbot.research.cluster import on_cluster, safe_address
from palmbot.research.evaluate import on_threads, to_the_end
from palmbot.research.grid import Grid, axes_of, in_order
from palmbot.research.search import Search
from palmbot.research.surrogates import Null, surrogates
from palmbot.research.workers import rescued, threads
from palmbot.settings import BUILT_IN_PROFILES

BALANCE_MINOR = 10_000_000
TREND = BUILT_IN_PROFILES["rsi_trend"]._replace(warmup_bars=30)


@dataclass(frozen=True)
class Processes:
    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]


def started(stack: ExitStack, *words: str, until: str) -> tuple[subprocess.Popen[str], str]:
    """Start a Dask process and return it with the line that says it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    stack.callback(process.stderr.close)
    stack.callback(process.wait)
    stack.callback(process.kill)
    for line in process.stderr:
        if until in line:
            return process, line
    raise AssertionError(f"{words} ended")


@contextmanager
def processes(*certificates: str, count: int = 2) -> Iterator[Processes]:
    """Start a scheduler and ``count`` workers, with flags for their ``certificates``."""
    with ExitStack() as stack:
        scheduler, line = started(
            stack,
            *("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *certificates),
            until="Scheduler at:",
        )
        address = line.split()[-1]
        command = ("distributed.cli.dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1")
        flags = ("--no-nanny", "--no-dashboard", *certificates)
        workers = [started(stack, *command, *flags, until="Registered to:")[0] for _ in range(count)]
        yield Processes(address, scheduler, workers)


@pytest.mark.slow
def test_a_dead_worker_costs_a_retry_and_a_dead_scheduler_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "PART_BAR_COMBINATIONS", 1_000_000)
    monkeypatch.setattr(evaluating, "PART_ROWS_MIN", 20)
    series = series_of(walk(20_000, seed=3))
    table = Grid(TREND, axes_of(TREND)).sample(600, 1)
    *_, whole = in_order(table, on_threads(BALANCE_MINOR, 1))(series)
    with processes() as running, on_cluster(running.address, BALANCE_MINOR) as cluster:
        steps, found = in_order(table, cluster.evaluate), list[Search]()
        collect(steps(series), found, running.workers[0])
        assert found[-1].results.tobytes() == whole.results.tobytes()
        found.clear()
        with pytest.raises(PalmbotError) as lost:
            collect(steps(series), found, running.scheduler)
    assert (lost.value.code, lost.value.exit_code) == ("CLUSTER_LOST", 1)
    assert 100 <= found[-1].trials < 600
    assert found[-1].results.tobytes() == whole.results[: found[-1].trials].tobytes()


@pytest.mark.slow
def test_an_examination_outlives_a_worker_and_then_the_cluster_with_the_same_numbers() -> None:
    series, null = series_of(walk(3_000, seed=3)), Null("shuffled", 60, 1)
    search = to_the_end(in_order(Grid(TREND, axes_of(TREND)).sample(100, 1), on_threads(BALANCE_MINOR, 1), 5))
    here = surrogates(series, search, null)
    said = list[PalmbotError]()
    with processes() as running, on_cluster(running.address, BALANCE_MINOR) as cluster:
        victims = {3: running.workers[0], 20: running.scheduler}

        def on_each(done: int) -> None:
            if done in victims:
                victims[done].kill()

        afar = surrogates(series, search, null, on_each, rescued(cluster.each, threads(1), said.append))
    assert here is not None
    assert afar is not None
    assert afar.scores.tobytes() == here.scores.tobytes()
    assert [error.code for error in said] == ["CLUSTER_LOST"]


def collect(steps: Iterator[Search], found: list[Search], victim: subprocess.Popen[str]) -> None:
    """Take in what is found; after 100 trials kill ``victim``."""
    for so_far in steps:
        found.append(so_far)
        if so_far.trials == 100:
            victim.kill()


@contextmanager
def listening(says: bytes | None) -> Iterator[str]:
    """A port on which nobody listens, or one that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if says is None:
            server.close()
        yield f"tcp://127.0.0.1:{server.getsockname()[1] if says is not None else 1}"


@pytest.mark.parametrize("says", [None, b""])
def test_who_is_no_cluster_is_told_in_seconds(says: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_S", 1)
    with listening(says) as address, pytest.raises(PalmbotError) as refused, on_cluster(address, BALANCE_MINOR):
        pass
    assert (refused.value.code, refused.value.exit_code) == ("CLUSTER_UNREACHABLE", 1)


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://far.example:8786"]
)
def test_an_address_on_this_machine_or_by_tls_is_taken(text: str) -> None:
    assert safe_address(text).text.endswith(text)


@pytest.mark.parametrize("text", ["10.0.0.5:8786", "tcp://far.example:8786", "tcp://0.0.0.0:8786", "tcp://[::]:8786"])
def test_an_address_elsewhere_without_tls_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        safe_address(text)
    assert (refused.value.code, refused.value.exit_code) == ("DASK_NOT_SAFE", 3)


@pytest.mark.parametrize("text", ["", "127.0.0.1", "ws://127.0.0.1:8786", "tcp://127.0.0.1:x", "inproc://1.2.3.4/1/1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="DASK_BAD_ADDRESS"):
        safe_address(text)


def test_tls_without_certificates_and_a_missing_extra_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="DASK_NO_CERTIFICATES"), on_cluster("tls://127.0.0.1:1", BALANCE_MINOR):
        pass

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(clusters, "import_module", missing)
    with pytest.raises(ConfigError) as refused, on_cluster("tcp://127.0.0.1:1", BALANCE_MINOR):
        pass
    assert refused.value.code == "CLUSTER_NOT_INSTALLED"
    assert "palm-oil-bot[cluster]" in refused.value.todo
