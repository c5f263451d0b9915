"""How long ``palmbot --help`` takes and how much memory a running bot holds. Aims: under 0.3 s, under 250 MB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PALMBOT = Path(sys.executable).with_name("palmbot")
ROUNDS = 15


def measure() -> dict[str, Any]:
    """Return the least wall and CPU seconds of ``--help``, an empty interpreter beside it, and the bot's memory."""
    bare, helped, cpu = [], [], []
    for _ in range(ROUNDS):
        bare.append(_timed([sys.executable, "-c", "pass"])[0])
        wall, used = _timed([str(PALMBOT), "--help"])
        helped.append(wall)
        cpu.append(used)
    return {
        "help_s": round(min(helped), 3),
        "help_cpu_s": round(min(cpu), 3),
        "empty_python_s": round(min(bare), 3),
        "aim_help": "under 0.3 s",
        "run_rss_mb": _memory_mb(),
        "aim_memory": "under 250 MB",
    }


def _timed(words: list[str]) -> tuple[float, float]:
    before, begun = os.times(), time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def _memory_mb() -> float:
    """Return the resident memory of ``palmbot run`` after it has traded for a while."""
    with tempfile.TemporaryDirectory() as folder:
        bot = subprocess.Popen([PALMBOT, "run"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(20)
            status = Path(f"/proc/{bot.pid}/status").read_text()
        finally:
            bot.send_signal(signal.SIGINT)
            bot.wait(30)
    rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return round(rss_kb / 1024, 1)
