"""``python -m bench [replay|paper|start]...``: measure and print one JSON object."""

from __future__ import annotations

import json
import sys

from bench import paper, replay, start

PARTS = {"replay": replay.measure, "paper": paper.measure, "start": start.measure}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(PARTS)
    print(json.dumps({name: PARTS[name]() for name in wanted}, indent=2))
