"""``palmbot exchange``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from palmbot.cli.answer import COMPILING, print_note
from palmbot.cli.command import command
from palmbot.cli.options import Options
from palmbot.errors import UsageError

CTRADER_PORT = "5035"
REAL_TIME = "1"


@dataclass(frozen=True, kw_only=True)
class ExchangeOptions(Options):
    """Options of ``palmbot exchange``."""

    symbol: Annotated[str | None, typer.Option(metavar="S", help="Which instrument is traded.")] = None
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Change a setting, e.g. spread=3. Repeatable.")
    ] = None
    data: Annotated[str | None, typer.Option(metavar="F", help="Bars; without it the market is generated.")] = None
    balance: Annotated[str | None, typer.Option(metavar="N", help="Starting balance of the account.")] = None
    speed: Annotated[str, typer.Option(metavar="X", help="Market seconds a second.")] = REAL_TIME
    seed: Annotated[str | None, typer.Option(metavar="S", help="Seed of the generated market.")] = None
    port: Annotated[
        str, typer.Option(metavar="N", help="Port for clients; the next one is for tokens. 0 takes free ones.")
    ] = CTRADER_PORT
    state: Annotated[
        Path | None,
        typer.Option(metavar="F", help="Keep the books here, and certificates and tokens beside them, for a restart."),
    ] = None


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "exchange", ExchangeOptions)(exchange)


def exchange(options: ExchangeOptions) -> None:
    """Serve a simulated cTrader on this machine, for any client, until Ctrl-C or SIGTERM.

    Prints one line of JSON when it is ready: where it is, and what a client needs. Everything in it is SYNTHETIC.
    """
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings = load_settings(options.sources())
    if settings.run.speed is None:
        todo = "Name market seconds a second, for instance --speed 60: a market for any client waits for none."
        raise UsageError("SPEED_UNBOUNDED", todo, speed=options.speed)
    from palmbot.bootstrap.exchange import serve_exchange  # noqa: PLC0415 - heavy: after what may be refused at once
    from palmbot.bootstrap.warmth import is_cold  # noqa: PLC0415 - as above

    if is_cold():
        print_note(COMPILING)

    def ready(line: Mapping[str, Any]) -> None:
        typer.echo(json.dumps(line))
        if not options.as_json:
            print_note("The simulated exchange (SYNTHETIC) is open; save that line to a file for --exchange.")

    def farewell(number: int, why: str) -> None:
        if options.verbose:
            print_note(f"connection {number} ended: {why}")

    serve_exchange(settings, options.state, ready, farewell)
