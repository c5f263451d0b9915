"""Wrong trading rules on purpose: each a small change of the core's text that the tests of the rules must notice.

A mutant lives in a copy of the package; the tree is never touched. ``mutated_source`` makes the copy, ``judged`` runs a
check against it in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """A change of ``old``, which stands exactly once in ``file`` of the package, to ``new``."""

    name: str
    file: str
    old: str
    new: str


FILLS, REPLAY, BREAKERS, STEP, SIZING = (
    f"core/{name}.py" for name in ("fills", "replay", "breakers", "step", "sizing")
)

MUTANTS = (
    Mutant(
        "favourable extreme first",
        REPLAY,
        "(tick == 1) == (side < 0)",
        "(tick == 1) == (side > 0)",
    ),
    Mutant(
        "stop filled at the tick instead of its level",
        FILLS,
        "level = mark if is_jump else position.sl_px",
        "level = mark",
    ),
    Mutant(
        "gapped stop filled at its level",
        FILLS,
        "level = mark if is_jump else position.sl_px",
        "level = position.sl_px",
    ),
    Mutant(
        "gapped target filled at its level",
        FILLS,
        "return _TP, mark if is_jump else position.tp_px",
        "return _TP, position.tp_px",
    ),
    Mutant(
        "target pays slippage",
        FILLS,
        "return _TP, mark if is_jump else position.tp_px",
        "return _TP, (mark if is_jump else position.tp_px) - side * slippage",
    ),
    Mutant(
        "touch is not enough for a stop",
        FILLS,
        "if (mark - position.sl_px) * side <= 0:",
        "if (mark - position.sl_px) * side < 0:",
    ),
    Mutant(
        "breakers before stops",
        REPLAY,
        "    reason, price = fills.protective_fill("
        "book.position, now.bid_px, now.spread_px, now.slippage_px, tick == 0)\n",
        "    reason, price = _NONE, fills.market_px(-side, now.bid_px, now.spread_px, now.slippage_px)\n"
        "    if _equity(run, book, now) <= book.floor_minor:\n"
        "        book, reason = _limits(run, book, now, events, _equity(run, book, now))\n"
        "    if reason == _NONE:\n"
        "        reason, price = fills.protective_fill(\n"
        "            book.position, now.bid_px, now.spread_px, now.slippage_px, tick == 0\n"
        "        )\n",
    ),
    Mutant(
        "peak moved on every tick",
        REPLAY,
        "        low = min(low, equity)\n        if equity <= book.floor_minor:\n",
        "        low = min(low, equity)\n"
        "        book = _with_guards(run, book, breakers.with_peak(book.guards, max(book.guards.peak_minor, equity)))\n"
        "        if equity <= book.floor_minor:\n",
    ),
    Mutant(
        "cooldown counted from the exit tick",
        REPLAY,
        "core.on_close(run.params, book.guards, net, balance, now.bar_end_ms, now.ts_ms)",
        "core.on_close(run.params, book.guards, net, balance, now.ts_ms, now.ts_ms)",
    ),
    Mutant(
        "distance taken from the fill price",
        REPLAY,
        "sl_px, tp_px = price - side * decision.sl_px, price + side * decision.tp_px",
        "sl_px = price - side * (decision.sl_px * price // decision.close_px)\n"
        "    tp_px = price + side * (decision.tp_px * price // decision.close_px)",
    ),
    Mutant(
        "entry at the decision's close",
        REPLAY,
        "price = fills.market_px(side, now.bid_px, now.spread_px, now.slippage_px)\n    margin",
        "price = fills.market_px(side, decision.close_px, now.spread_px, now.slippage_px)\n    margin",
    ),
    Mutant(
        "marks at the other side of the spread",
        FILLS,
        "return bid_px if side > 0 else bid_px + spread",
        "return bid_px if side < 0 else bid_px + spread",
    ),
    Mutant(
        "market orders at the other side of the spread",
        FILLS,
        "        return bid_px + spread + slippage\n    return bid_px - slippage",
        "        return bid_px + slippage\n    return bid_px + spread - slippage",
    ),
    Mutant(
        "one step more slippage on market orders",
        FILLS,
        "        return bid_px + spread + slippage\n",
        "        return bid_px + spread + slippage + 1\n",
    ),
    Mutant(
        "opening commission forgotten at the close",
        REPLAY,
        "commission = position.commission_minor + closing",
        "commission = closing",
    ),
    Mutant(
        "day boundary before the swap of the same instant",
        REPLAY,
        "    if swap_ms == due.next_ms:\n",
        "    if swap_ms == due.next_ms and day_ms != due.next_ms:\n",
    ),
    Mutant(
        "roll charged to the wrong side",
        FILLS,
        "return money_minor(-side * gap_px * volume_cu",
        "return money_minor(side * gap_px * volume_cu",
    ),
    Mutant(
        "a loss of exactly the limit is allowed",
        BREAKERS,
        "(base_minor - equity_minor) * 10_000",
        "(base_minor - equity_minor) * 10_000 - 1",
    ),
    Mutant(
        "zero net resets the streak",
        BREAKERS,
        "    elif net_minor > 0:\n",
        "    else:\n",
    ),
    Mutant(
        "cooldown blocks its last instant too",
        BREAKERS,
        "if decision_ms < breakers.cooldown_until_ms:",
        "if decision_ms <= breakers.cooldown_until_ms:",
    ),
    Mutant(
        "daily loss shown before the halt",
        BREAKERS,
        "breakers.halted == 1:\n        return _HALT\n    if breakers.day_tripped == 1:\n        return _DAILY\n",
        "breakers.day_tripped == 1:\n        return _DAILY\n    if breakers.halted == 1:\n        return _HALT\n",
    ),
    Mutant(
        "sentiment of the bar that is only coming",
        REPLAY,
        "newest_known(rows.known_ms, newest, row.end_ms)",
        "newest_known(rows.known_ms, newest, coming.end_ms)",
    ),
    Mutant(
        "the pending entry is not gated again",
        REPLAY,
        "reason = breakers.gate(run.params, book.guards, decision, now.bid_px, now.ts_ms)",
        "reason = _NONE",
    ),
    Mutant(
        "a trailing stop may loosen",
        STEP,
        "    if level != 0 and (level - position.sl_px) * side > 0:\n",
        "    if level != 0 and level != position.sl_px:\n",
    ),
    Mutant(
        "the entry bar is not counted by the time exit",
        REPLAY,
        "index - book.opening.bar_index + 1",
        "index - book.opening.bar_index",
    ),
    Mutant(
        "stop as wide as its costs accepted",
        SIZING,
        "if sl_px <= spread + slippage + instrument.sl_min_px:",
        "if sl_px < spread + slippage + instrument.sl_min_px:",
    ),
    Mutant(
        "volume rounded to the nearest step",
        SIZING,
        "math.floor(steps + _ROUNDING_SLACK)",
        "math.floor(steps + 0.5)",
    ),
)


def mutated_source(folder: Path, mutant: Mutant | None) -> Path:
    """Return a folder for ``PYTHONPATH`` under ``folder`` that holds the package with ``mutant`` (None: as it is).

    Raises:
        LookupError: the text to change does not stand exactly once in the file; the mutant has to follow the code.
    """
    source = folder / "src"
    shutil.copytree(ROOT / "src" / "palmbot", source / "palmbot", ignore=shutil.ignore_patterns("__pycache__"))
    if mutant is not None:
        file = source / "palmbot" / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.name}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}")
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return source


def judged(source: Path, check: Sequence[str], *, compiled: bool = False) -> subprocess.CompletedProcess[str]:
    """Run ``python CHECK...`` from the root of the repository against the package in ``source``.

    Uncompiled by default: a mutant of a small check would spend most of its time in the compiler.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(source), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment["NUMBA_DISABLE_JIT"] = "0" if compiled else "1"
    environment["XDG_CACHE_HOME"] = str(source.parent / "cache")  # each mutant would leave a folder in the real one
    return subprocess.run(
        [sys.executable, *check], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
