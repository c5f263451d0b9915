"""``python -m bench.peers [--bars F]``: the sweep's job A beside other backtesters, each in an environment of its own.

Peers come from the index that pip is configured for, into a folder that is thrown away; one that cannot be installed
or run is said so. Each takes some of the 1,000 combinations over all the bars, as many as it can in seconds; what is
compared is the time of one. The sweep runs before and after them, and its least time counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.sweep import AXES, jobs_of, read_bars, swept, timed
from palmbot.units import PX

INSTALL_S, RUN_S = 600.0, 600.0
REPEATS = 15
JOB = Path(__file__).with_name("job.py")


class Peer(NamedTuple):
    """Another backtester."""

    name: str
    version: str
    combinations: int  # that it is given


PEERS = (Peer("vectorbt", "1.2.0", 20), Peer("backtesting", "0.6.6", 3), Peer("nautilus_trader", "1.221.0", 2))


def measure(path: Path | None = None) -> dict[str, Any]:
    """Return for each peer how many times the sweep's time it takes, and whether both closed as many trades."""
    bars = read_bars(path)
    job = jobs_of(bars)["a"]
    once = partial(swept, bars, job, 1)
    trades = once().results["trades"]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "bars.npy"
        np.save(file, np.array([bars.open_px, bars.high_px, bars.low_px, bars.close_px]) / PX)
        least, found = min(timed(once)[0] for _ in range(REPEATS)), {}
        for peer in PEERS:
            rows = np.linspace(0, job.table.shape[0] - 1, peer.combinations).round().astype(int)
            table = [[float(job.table[name][row]) for name in AXES] for row in rows]
            wanted = [[low, high, target / 1e6, stop / 1e6] for low, high, target, stop in table]
            found[f"{peer.name} {peer.version}"] = _run(peer, Path(scratch), file, wanted) | {
                "trades_of_sweep": trades[rows].tolist()
            }
            least = min(least, *(timed(once)[0] for _ in range(REPEATS)))
    for answer in found.values():
        if "seconds" in answer:
            answer["ratio"] = round(answer["seconds"] / len(answer["trades"]) / (least / trades.size))
            answer["agrees"] = answer["trades"] == answer["trades_of_sweep"]
    return {"bars": int(bars.ts_ms.size), "sweep_s": round(least, 4), "combinations": int(trades.size), "peers": found}


def _run(peer: Peer, scratch: Path, file: Path, wanted: list[list[float]]) -> dict[str, Any]:
    """Return what ``peer`` prints, or why it did not."""
    folder = scratch / peer.name
    python = str(folder / "bin" / "python")
    steps: tuple[tuple[list[str], float], ...] = (
        ([sys.executable, "-m", "venv", str(folder)], INSTALL_S),
        ([python, "-m", "pip", "install", "--quiet", f"{peer.name}=={peer.version}"], INSTALL_S),
        ([python, str(JOB), peer.name, str(file), json.dumps(wanted)], RUN_S),
    )
    try:
        for words, limit_s in steps:
            ran = subprocess.run(words, check=True, capture_output=True, text=True, timeout=limit_s)
    except subprocess.CalledProcessError as error:
        return {"failed": (error.stderr.strip().splitlines() or ["no reason given"])[-1][:200]}
    except subprocess.TimeoutExpired as error:
        return {"failed": f"not within {error.timeout:g} s"}
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The sweep beside other backtesters.")
    parser.add_argument("--bars", type=Path, help="a file of bars; SYNTHETIC ones without it")
    print(json.dumps(measure(parser.parse_args(arguments).bars), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
