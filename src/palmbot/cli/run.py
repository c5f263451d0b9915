"""``palmbot run``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import RunOptions
from palmbot.errors import RefusedError

if TYPE_CHECKING:
    from palmbot.model import BotView
    from palmbot.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "run", RunOptions)(run)


def run(options: RunOptions) -> Answer:
    """Trade: on paper unless told otherwise, a generated market unless given data.

    Ctrl-C and SIGTERM stop in order, with a summary.
    """
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = load_settings(options.sources())
    _refuse_unbuilt(options, settings)
    from palmbot.bootstrap.bot import run_bot  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with _watching(options, settings) as on_view:
        output = run_bot(settings, on_view)
    return Answer(output.to_json(), output.text(), exit_code=output.exit_code)


def _refuse_unbuilt(options: RunOptions, settings: Settings) -> None:
    """Refuse what would need parts that this version does not have."""
    todo = "Trade on paper: this version has no connection to a broker yet."
    if settings.run.environment != "paper":
        raise RefusedError("NOT_AVAILABLE", todo, env=settings.run.environment)
    if options.dry_run:
        raise RefusedError("NOT_AVAILABLE", todo, option="--dry-run")


@contextmanager
def _watching(options: RunOptions, settings: Settings) -> Iterator[Callable[[BotView], None] | None]:
    """Yield what is told about every new view: the live screen, plain lines off a terminal, nothing with --json."""
    if options.as_json and not options.verbose:
        yield None
    elif options.as_json or not sys.stdout.isatty():
        from palmbot.cli.lines import Lines  # noqa: PLC0415 - keeps `palmbot --help` fast

        yield Lines(settings, sys.stderr if options.as_json else sys.stdout).show
    else:
        from palmbot.cli.view import LiveView  # noqa: PLC0415 - as above

        with LiveView(settings) as view:
            yield view.show
