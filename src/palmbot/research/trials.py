"""The trials of a search on disk, so that an interrupted search goes on where it was.

A file of what was tried, row by row, in the order of trying: combination and result. A search that is repeated asks for
the same combinations in the same order, so it takes from the file what stands there and trades the rest. The guided
search thereby comes to the state it was in, random numbers included, without that state being stored.

The first line is JSON: the identity of what was traded, and the layout of the rows. The rest is rows of fixed length; a
torn last row is ignored. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from palmbot import CORE_HASH
from palmbot.research.evaluate import Evaluate
from palmbot.research.sweep import Series, Sweep
from palmbot.research.sweep_ledger import RESULT, Rows
from palmbot.research.sweep_params import TABLE, Table

FORMAT: Final = 1
TRIAL: Final = np.dtype([("params", TABLE), ("result", RESULT)])


def identity_of(series: Series, balance_minor: int) -> str:
    """Return a hash of all that a combination's result depends on beside itself."""
    digest = hashlib.sha256(repr((CORE_HASH, tuple(series.instrument), balance_minor, TRIAL.descr)).encode())
    for array in (*series.bars, *series.rolls, *series.sentiment):
        digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(b"|")
    return digest.hexdigest()


class Trials:
    """The file of one search's trials.

    Args:
        path: read if it is there; an older file of something else is replaced when the first trial is added.
        identity: from ``identity_of``.

    Attributes:
        taken: trials that the search has taken from the file.
        trouble: why the file is not kept any more; the search goes on without.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.taken = 0
        self.trouble: OSError | None = None
        self._path = path
        self._head = json.dumps({"format": FORMAT, "identity": identity}).encode() + b"\n"
        self._stored = _read(path, self._head)
        self._is_behind = True  # rows may follow in the file that are not of this search

    def take(self, table: Table) -> Rows:
        """Return the results of the first rows of ``table`` that come next in the file; none where others come."""
        ahead = self._stored[self.taken : self.taken + table.shape[0]]
        differs = np.flatnonzero(ahead["params"] != table[: ahead.shape[0]])
        rows = ahead[: int(differs[0])] if differs.size else ahead
        self.taken += rows.shape[0]
        return rows["result"]

    def add(self, table: Table, results: Rows) -> None:
        """Write what was tried now; whatever else stood behind what was taken is cut off first."""
        if self.trouble is not None:
            return
        rows = np.empty(results.shape[0], TRIAL)
        rows["params"], rows["result"] = table[: results.shape[0]], results
        try:
            if self._is_behind:
                self._cut()
            with self._path.open("ab") as file:
                file.write(rows.tobytes())
        except OSError as error:
            self.trouble = error

    def remove(self) -> None:
        """Remove the file: its search is over."""
        self._path.unlink(missing_ok=True)

    def _cut(self) -> None:
        """Leave in the file what was taken of it, and nothing else."""
        kept = self._stored[: self.taken]
        if kept.size:
            with self._path.open("r+b") as file:
                file.truncate(len(self._head) + kept.nbytes)
        else:
            self._path.write_bytes(self._head)
        self._stored, self._is_behind = kept, False


def kept_in(trials: Trials, evaluate: Evaluate) -> Evaluate:
    """Return ``evaluate`` that takes from ``trials`` what it holds and adds what it does not. For one series."""

    def search(series: Series, table: Table) -> Iterator[Sweep]:
        results = trials.take(table)
        if results.shape[0]:
            yield Sweep(results, 1.0 - float(results["replayed"].mean()))
        rest = table[results.shape[0] :]
        if rest.shape[0] == 0:
            return
        for part in evaluate(series, rest):
            trials.add(rest, part.results)
            rest = rest[part.results.shape[0] :]
            yield part

    return search


def _read(path: Path, head: bytes) -> Rows:
    """Return the whole rows of a file that begins with ``head``; none where it is another, or none can be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return np.zeros(0, TRIAL)
    if not content.startswith(head):
        return np.zeros(0, TRIAL)
    count = (len(content) - len(head)) // TRIAL.itemsize
    return np.frombuffer(content, TRIAL, count, len(head)).copy()
