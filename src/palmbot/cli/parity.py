"""``palmbot parity``."""

from __future__ import annotations

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import ParityOptions
from palmbot.cli.progress import progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "parity", ParityOptions)(parity)


def parity(options: ParityOptions) -> Answer:
    """Compare what the bot traded with a backtest of the bars that it saw; name each difference."""
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.parity import run_parity  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.times import span_ms  # noqa: PLC0415 - as above
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    span = span_ms(options.from_, options.to)
    if is_cold():
        print_note(COMPILING)
    with progress() as report:
        found = run_parity(settings, options.run, span, report)
    return Answer(found.to_json(), found.text())
