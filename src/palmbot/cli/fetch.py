"""``palmbot data fetch``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmbot.cli.answer import Answer, print_note
from palmbot.cli.options import Options
from palmbot.cli.progress import progress
from palmbot.errors import UsageError

if TYPE_CHECKING:
    from palmbot.config import Sources
    from palmbot.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FetchOptions(Options):
    """Options of ``palmbot data fetch``."""

    symbol: Annotated[str | None, typer.Option(metavar="S", help="Whose history.")] = None
    period: Annotated[str, typer.Option(metavar="1m|1h|1d|ticks", help="Length of a bar, or ticks.")] = "1h"
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="T", help="First time, UTC; default two years before, of ticks a week."),
    ] = None
    to: Annotated[str | None, typer.Option(metavar="T", help="Up to this time, UTC; default now.")] = None
    env: Annotated[str | None, typer.Option(metavar="paper|demo|live", help="Whom to ask; default paper.")] = None
    exchange: Annotated[
        str | None, typer.Option(metavar="F", help="On paper: an exchange in another process, its ready line.")
    ] = None
    out: Annotated[
        Path | None, typer.Option(metavar="F", help="The file to write; default one in the data folder.")
    ] = None
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Change a setting, e.g. instrument.digits=2. Repeatable."),
    ] = None

    def without_exchange(self) -> Sources:
        """Return where settings come from: an exchange that is only asked may stand beside a file of bars."""
        sources = self.sources()
        return replace(sources, options={name: text for name, text in sources.options.items() if name != "--exchange"})


def fetch(options: FetchOptions) -> Answer:
    """Get a broker's history: bars of any period, or ticks, as Parquet ready for --data.

    Only what is not here yet is asked for, and what has come is kept: stop it at any time, run it again to go on.
    """
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast

    sources = options.without_exchange()
    settings = load_settings(sources)
    exchange = _exchange(options, settings)
    from palmbot.bootstrap.courier import way_of  # noqa: PLC0415 - heavy: after what may be refused at once
    from palmbot.bootstrap.fetch import request_of, run_fetch  # noqa: PLC0415 - as above

    request = request_of(settings, options.period, (options.from_, options.to), options.out)
    with progress() as show:
        output = run_fetch(request, way_of(sources, settings, exchange), show, print_note)
    return Answer(output.to_json(), output.text())


def _exchange(options: FetchOptions, settings: Settings) -> Path | None:
    """Return the ready line of the exchange to ask; None: a broker is asked."""
    run = settings.run
    if run.environment != "paper":
        if options.exchange is not None:
            todo = "Leave one of them out: an exchange in another process is asked on paper."
            raise UsageError("CONFLICTING_OPTIONS", todo, env=run.environment, exchange=options.exchange)
        return None
    file = run.exchange_file if options.exchange is None else Path(options.exchange)
    if file is None:
        todo = "Name an account (--env demo or live), or an exchange in another process (--exchange F)."
        raise UsageError("NOBODY_TO_ASK", todo, env=run.environment)
    return file
