"""``palmbot analyze``."""

from __future__ import annotations

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import AnalyzeOptions
from palmbot.cli.progress import progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "analyze", AnalyzeOptions)(analyze)


def analyze(options: AnalyzeOptions) -> Answer:
    """Take one backtest apart: RSI, sentiment, hours, refusals against the results; CSV, figures and one PDF."""
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.analyze import run_analyze  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with progress() as report:
        study = run_analyze(settings, options.out, report, print_note)
    return Answer(study.to_json(), study.text())
