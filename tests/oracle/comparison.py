"""Holding the core's replay against the oracle: what each says of a world, as values that compare with ``==``.

As a program it judges whatever copy of the package stands first on the path:
``python -m tests.oracle.comparison FIRST COUNT`` compares seeded worlds, prints the first difference and fails;
``--print`` writes what the core says of each world instead, recorded and skimmed, a line of JSON each.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from tests.oracle.replay import Oracle
from tests.oracle.worlds import World, world_of

from palmbot.core.replay import replay
from palmbot.core.tape import REFUSAL_COLUMNS, TRADE_COLUMNS, TRIP_COLUMNS, Entry, Tape, new_tape
from palmbot.core.types import State
from palmbot.core.world import Outcome

# What is compared exactly. The planned risk of a trade is a float before it is rounded: see ``differences``.
EXACT = {
    Entry.TRADE: [index for index, name in enumerate(TRADE_COLUMNS) if name not in {"kind", "risk_minor"}],
    Entry.REFUSAL: range(1, len(REFUSAL_COLUMNS)),
    Entry.TRIP: range(1, len(TRIP_COLUMNS)),
}
RISK = TRADE_COLUMNS.index("risk_minor")


def replayed(world: World, *, curve: bool = True, capacity: int = 1_024) -> tuple[Outcome, Tape]:
    """Return what the core makes of ``world``; the tape must hold it all."""
    tape = new_tape(capacity, world.bars.ts_ms.shape[0] if curve else 0)
    outcome = replay(*world, tape)
    assert outcome.events <= capacity
    return outcome, tape


def events_of(tape: Tape, count: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return the events on ``tape`` in order."""
    rows = tape.events[:count].tolist()
    return [(Entry(row[0]).name, tuple(row[column] for column in EXACT[Entry(row[0])])) for row in rows]


def plain(value: Any) -> Any:
    """Return ``value`` as lists and scalars of plain Python, also where the core ran uncompiled on numpy's."""
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def said_by_core(world: World, *, curve: bool = True) -> dict[str, Any]:
    """Return the whole outcome of the core's replay; without a curve it skims the dull rounds."""
    outcome, tape = replayed(world, curve=curve)
    said = {
        "events": events_of(tape, outcome.events),
        "counts": (outcome.trades, outcome.refusals, outcome.trips),
        "balance": outcome.balance_minor,
        "equity": outcome.equity_minor,
        "stopped_out_ms": outcome.stopped_out_ms,
        "position": outcome.position,
        "state": outcome.state,
        "equities": tape.equity.tolist(),
        "lows": tape.equity_low.tolist(),
        "held": tape.held.tolist(),
        "rsi": [None if math.isnan(value) else value for value in tape.rsi.tolist()],
    }
    return {key: plain(value) for key, value in said.items()}


def said_by_oracle(oracle: Oracle) -> dict[str, Any]:
    """Return the whole outcome of the replay by hand."""
    kinds = Counter(kind for kind, _ in oracle.events)
    said = {
        "events": oracle.events,
        "counts": (kinds["TRADE"], kinds["REFUSAL"], kinds["TRIP"]),
        "balance": oracle.balance,
        "equity": oracle.equity(),
        "stopped_out_ms": oracle.stopped_out_ms,
        "position": oracle.position(),
        "state": State(oracle.running, oracle.guards.as_core()),
        "equities": oracle.equities,
        "lows": oracle.lows,
        "held": [int(held) for held in oracle.held],
        "rsi": [*oracle.rsi, None],  # the last bar is never closed
    }
    return {key: plain(value) for key, value in said.items()}


def differences(world: World) -> tuple[list[str], Oracle]:
    """Return where the core and the oracle differ about ``world``, and the oracle."""
    oracle = Oracle(world).live()
    core, by_hand = said_by_core(world), said_by_oracle(oracle)
    found = [f"{key}:\n  core   {core[key]}\n  oracle {by_hand[key]}" for key in core if core[key] != by_hand[key]]
    outcome, tape = replayed(world)
    skimmed, short_tape = replayed(world, curve=False)
    if plain(skimmed) != plain(outcome) or not np.array_equal(short_tape.events, tape.events):
        found.append(f"skimmed:\n  core    {outcome}\n  skimmed {skimmed}")
    risks = [row[RISK] for row in tape.events[: outcome.events].tolist() if row[0] == Entry.TRADE]
    half = Fraction(1, 2) + Fraction(1, 10**6)  # the core's planned risk is a float before it is rounded
    for risk, exact in zip(risks, oracle.risks, strict=False):
        if abs(risk - exact) > half:
            found.append(f"risk: core {risk}, oracle {float(exact)}")
    return found, oracle


def seeded(first: int, count: int) -> Iterator[tuple[int, World]]:
    """Yield ``count`` seeds from ``first`` on with their worlds."""
    for seed in range(first, first + count):
        yield seed, world_of(Random(seed))


def main(first: int, count: int, *, prints: bool) -> int:
    """Compare, or print, seeded worlds; return the exit code."""
    for seed, world in seeded(first, count):
        if prints:
            for curve in (True, False):
                sys.stdout.write(json.dumps(said_by_core(world, curve=curve)) + "\n")
            continue
        found, _ = differences(world)
        if found:
            sys.stdout.write(f"world {seed} differs\n" + "\n".join(found) + "\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), prints="--print" in sys.argv))
