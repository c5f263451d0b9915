"""``palmbot backtest``."""

from __future__ import annotations

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import BacktestOptions
from palmbot.cli.progress import progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "backtest", BacktestOptions)(backtest)


def backtest(options: BacktestOptions) -> Answer:
    """Trade the past once: numbers with their uncertainty, and with --out trades.csv, equity.csv and report.html."""
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.replay import run_backtest  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with progress() as report:
        output = run_backtest(settings, options.out, report)
    return Answer(output.to_json(), output.text())
