"""``palmbot optimize``."""

from __future__ import annotations

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import OptimizeOptions
from palmbot.cli.progress import progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "optimize", OptimizeOptions)(optimize)


def optimize(options: OptimizeOptions) -> Answer:
    """Search the parameters, then tell what the best is worth: ROBUST, WEAK or NOISE, and why.

    Ctrl-C keeps what was found; the same command goes on from there.
    """
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.optimize import run_optimize  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with progress() as report:
        output = run_optimize(settings, options.out, report, print_note)
    if output.error is not None:
        print_note(str(output.error))
    return Answer(output.to_json(), output.text(), exit_code=output.exit_code)
