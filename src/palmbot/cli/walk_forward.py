"""``palmbot walk-forward``."""

from __future__ import annotations

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import WalkForwardOptions
from palmbot.cli.progress import progress


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "walk-forward", WalkForwardOptions)(walk_forward)


def walk_forward(options: WalkForwardOptions) -> Answer:
    """Choose on the past, trade what comes next, window by window, and say what the rules are worth.

    Ctrl-C ends the examination and shows what is known.
    """
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.walk_forward import run_walk_forward  # noqa: PLC0415 - heavy: after what may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with progress() as report:
        output = run_walk_forward(settings, options.windows, options.out, report, print_note)
    if output.error is not None:
        print_note(str(output.error))
    return Answer(output.to_json(), output.text(), exit_code=output.exit_code)
