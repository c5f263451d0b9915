"""Figures that the measurements share: percentiles, shares of a core, memory."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

_PERCENTS = {"p50": (50.0, 1), "p99": (99.0, 100), "p99_9": (99.9, 1_000)}  # and of how many values at least


def percentiles_ms(values_ns: Sequence[int]) -> dict[str, float]:
    """Return percentiles in milliseconds by nearest rank, as far as there are values enough, and the greatest value."""
    if not values_ns:
        return {}
    ordered = sorted(values_ns)
    count = len(ordered)
    found = {
        name: ordered[round(percent / 100 * (count - 1))]
        for name, (percent, least) in _PERCENTS.items()
        if count >= least
    }
    return {name: round(value / 1e6, 3) for name, value in {**found, "max": ordered[-1]}.items()}


def rss_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def machine() -> dict[str, float]:
    """Return how many cores there are, and how many processes wanted one in the last minute."""
    return {"cores": os.cpu_count() or 0, "load": round(os.getloadavg()[0], 1)}
