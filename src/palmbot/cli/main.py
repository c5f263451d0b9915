"""``palmbot``: the commands, and the one place where any failure becomes an exit code.

Nothing heavy is imported before a command runs: ``palmbot --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from palmbot.cli import analyze, auth, backtest, config, data, doctor, exchange, optimize, parity, run, walk_forward
from palmbot.cli.answer import print_error
from palmbot.errors import PalmbotError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
run.register(app)
backtest.register(app)
optimize.register(app)
walk_forward.register(app)
analyze.register(app)
parity.register(app)
exchange.register(app)
doctor.register(app)
app.add_typer(data.app, name="data")
app.add_typer(auth.app, name="auth")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        from palmbot import __version__  # noqa: PLC0415 - only this option needs it

        typer.echo(f"palmbot {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def palmbot(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Trade palm oil, or any other symbol, by one set of rules: in backtest, on paper and live.

    `palmbot run` trades a generated market at once; no account, no key and no network are needed.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def execute(argv: Sequence[str]) -> int:
    """Run the command line ``argv`` (without the program's name) and return its exit code.

    0 done, 1 failed, 2 bad usage or configuration, 3 refused for safety, 4 found a divergence, 130 interrupted.
    """
    try:
        return int(app(list(argv), prog_name="palmbot", standalone_mode=False) or 0)
    except typer.TyperException as wrong:
        where = getattr(getattr(wrong, "ctx", None), "command_path", "palmbot")
        error = PalmbotError(
            "BAD_USAGE", f"`{where} --help` shows what is possible.", message=repr(wrong.format_message())
        )
        error.exit_code = wrong.exit_code
    except PalmbotError as failure:
        error = failure
    except Exception as bug:  # noqa: BLE001 - the last line of defence: a person gets one line, not a traceback
        todo = "This is a bug. Run the command again with -v to see where, and report it."
        error = PalmbotError("UNEXPECTED", todo, error=type(bug).__name__, message=repr(str(bug)))
        error.__cause__ = bug
    # the options may be what could not be parsed, so the words themselves are asked
    print_error(error, as_json="--json" in argv, verbose=not {"-v", "--verbose"}.isdisjoint(argv))
    return error.exit_code


def main() -> None:
    """Run the command line of this process."""
    sys.exit(execute(sys.argv[1:]))
