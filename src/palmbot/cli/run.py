"""``palmbot run``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from palmbot.cli.answer import COMPILING, Answer, print_note
from palmbot.cli.command import command
from palmbot.cli.options import RunOptions
from palmbot.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from palmbot.bootstrap.access import Access
    from palmbot.model import BotView
    from palmbot.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "run", RunOptions)(run)


def run(options: RunOptions) -> Answer:
    """Trade: on paper unless told otherwise, a generated market unless given data.

    Ctrl-C and SIGTERM stop in order, with a summary.
    """
    from palmbot.bootstrap.rule import settings_with_rule  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = settings_with_rule(options.sources())
    from palmbot.bootstrap.provenance import noise_notes  # noqa: PLC0415 - as above

    settings = replace(settings, run=replace(settings.run, accepts_noise=options.noise))
    for note in noise_notes(settings):
        print_note(note)
    _refuse_orders(options, settings)
    access = _access(options, settings)
    settings = replace(settings, run=replace(settings.run, dry_run=options.dry_run))
    from palmbot.bootstrap.bot import run_bot  # noqa: PLC0415 - heavy: after everything that may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)
    with _watching(options, settings) as (on_view, on_note):
        output = run_bot(settings, on_view, access, on_note)
    return Answer(output.to_json(), output.text(), exit_code=output.exit_code)


def _refuse_orders(options: RunOptions, settings: Settings) -> None:
    """Refuse to send orders to a broker, and what cannot be meant by a dry run."""
    run, is_paper = settings.run, settings.run.environment == "paper"
    if not options.dry_run:
        if not is_paper:
            todo = "Say --dry-run: this version sends no orders to a broker. Nothing was connected to."
            raise RefusedError("ORDERS_NOT_ALLOWED", todo, env=run.environment)
        return
    if is_paper and run.exchange_file is None:
        todo = "Say --env demo, --env live or --exchange F: a run on paper sends no orders anyway."
        raise UsageError("NOTHING_TO_DRY_RUN", todo, option="--dry-run")
    against = {
        "--data": settings.data.file,
        "--resume": run.resume_dir,
        "--speed": options.speed,
        "--exchange": None if is_paper else run.exchange_file,
    }
    given = [option for option, value in against.items() if value is not None]
    if given:
        todo = "Leave it out: a dry run has the quotes of an account, at their own pace, in a journal of their own."
        raise UsageError("CONFLICTING_SETTINGS", todo, option="--dry-run", against=",".join(given))


def _access(options: RunOptions, settings: Settings) -> Access | None:
    """Return the way to the account of demo or live; None on paper."""
    if settings.run.environment == "paper":
        return None
    from palmbot.bootstrap.access import access_of  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.config.credentials import load_token_settings  # noqa: PLC0415 - as above

    sources = options.sources()
    return access_of(sources, settings.run.environment, load_token_settings(sources, settings.data_dir))


@contextmanager
def _watching(
    options: RunOptions, settings: Settings
) -> Iterator[tuple[Callable[[BotView], None] | None, Callable[[str], None]]]:
    """Yield what is told about every new view, and every note: the live screen, plain lines off a terminal.

    With --json no view is shown.
    """
    if options.as_json and not options.verbose:
        yield None, print_note
    elif options.as_json or not sys.stdout.isatty():
        from palmbot.cli.lines import Lines  # noqa: PLC0415 - keeps `palmbot --help` fast

        yield Lines(settings, sys.stderr if options.as_json else sys.stdout).show, print_note
    else:
        from palmbot.cli.view import LiveView  # noqa: PLC0415 - as above

        with LiveView(settings) as view:
            yield view.show, view.note
