"""``python -m bench [PART]...``: measure and print one JSON object."""

from __future__ import annotations

import json
import sys

from bench import accounts, cluster, fan_out, load, paper, replay, start, study, sweep, wire_latency, wire_rate

PARTS = {
    "replay": replay.measure,
    "sweep": sweep.measure,
    "cluster": cluster.measure,
    "load": load.measure,
    "paper": paper.measure,
    "start": start.measure,
    "wire_latency": wire_latency.measure,
    "wire_rate": wire_rate.measure,
    "fan_out": fan_out.measure,
    "accounts": accounts.measure,
    "study": study.measure,
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(PARTS)
    print(json.dumps({name: PARTS[name]() for name in wanted}, indent=2))
