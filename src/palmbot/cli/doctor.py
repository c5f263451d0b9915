"""``palmbot doctor``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmbot.cli.answer import Answer
from palmbot.cli.command import command
from palmbot.cli.options import Options
from palmbot.errors import UsageError

if TYPE_CHECKING:
    from palmbot.config import Sources
    from palmbot.diagnose import Check
    from palmbot.settings import Environment

WORDS = {True: "ok", False: "failed", None: "not checked"}
STYLES = {True: "green", False: "bold red", None: "dim"}


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(Options):
    """Options of ``palmbot doctor``."""

    env: Annotated[str | None, typer.Option(metavar="paper|demo|live", help="What for; default paper.")] = None
    exchange: Annotated[
        str | None, typer.Option(metavar="F", help="On paper: an exchange in another process, its ready line.")
    ] = None


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "doctor", DoctorOptions)(doctor)


def doctor(options: DoctorOptions) -> Answer:
    """Look at everything that trading needs, and say what to do about what is wrong.

    Settings, disk, database, the server and its certificate, application, tokens, account, symbol. Asks, and changes
    nothing. Exits with 1 when a check failed; what was not checked is no failure.
    """
    from palmbot.bootstrap.doctor import run_doctor  # noqa: PLC0415 - keeps `palmbot --help` fast

    environment, file = _chosen(options)
    with _watching(options) as on_look:
        checks = run_doctor(_sources(options), environment, file, on_look)
    is_terminal = sys.stdout.isatty() and not options.as_json
    return Answer(
        {"environment": environment, "checks": [check.to_json() for check in checks]},
        table(checks) if is_terminal else lines(checks),
        exit_code=1 if any(check.ok is False for check in checks) else 0,
    )


def _sources(options: DoctorOptions) -> Sources:
    """Return where settings come from, but for the exchange: whether that is there is a line of its own."""
    sources = options.sources()
    return replace(sources, options={name: text for name, text in sources.options.items() if name != "--exchange"})


def _chosen(options: DoctorOptions) -> tuple[Environment, Path | None]:
    """Return what is looked at; settings that cannot be read are a finding, not an error."""
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.errors import ConfigError  # noqa: PLC0415 - as above
    from palmbot.settings import Environment  # noqa: PLC0415 - as above

    file = None if options.exchange is None else Path(options.exchange)
    try:
        run = load_settings(_sources(options)).run
        environment, file = run.environment, file or run.exchange_file
    except ConfigError:
        if options.env not in {None, *Environment}:
            raise
        environment = Environment(options.env or Environment.PAPER)
    if environment is Environment.PAPER:
        return environment, file
    if options.exchange is not None:
        todo = "Leave one of them out: an exchange in another process is traded with on paper."
        raise UsageError("CONFLICTING_OPTIONS", todo, env=environment, exchange=options.exchange)
    return environment, None


@contextmanager
def _watching(options: DoctorOptions) -> Iterator[Callable[[str], None]]:
    """Yield what is told of every look; on a terminal it shows what is being waited for."""
    if options.as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - keeps `palmbot --help` fast

    with Console(stderr=True).status("") as status:
        yield lambda name: status.update(f"looking at: {name}")


def merged(checks: Sequence[Check]) -> list[tuple[str, Check]]:
    """Return ``checks`` with their names; those in a row that were not checked for one reason share a line."""
    rows: list[tuple[str, Check]] = []
    for _, group in groupby(checks, lambda check: check.name if check.ok is not None else check.detail):
        first, *more = group
        name = f"{first.name} and {len(more)} more" if more else first.name
        rows.append((name, first))
    return rows


def lines(checks: Sequence[Check]) -> str:
    """Return ``checks`` as plain lines, what to do below each."""
    rows = merged(checks)
    width = max(len(name) for name, _ in rows)
    shown = []
    for name, check in rows:
        shown.append(f"{WORDS[check.ok]:<11}  {name:<{width}}  {check.detail}")
        if check.todo:
            shown.append(f"{'':<11}  {'':<{width}}  -> {check.todo}")
    return "\n".join([*shown, _summary(checks)])


def table(checks: Sequence[Check]) -> str:
    """Return ``checks`` as a table for a terminal, what to do below each."""
    from rich import box  # noqa: PLC0415 - keeps `palmbot --help` fast
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows.add_column("", no_wrap=True)
    rows.add_column("check", min_width=10)
    rows.add_column("what was found", overflow="fold", ratio=1, min_width=20)
    for name, check in merged(checks):
        style = STYLES[check.ok]
        found = Text(check.detail, "dim" if check.ok is None else "")
        if check.todo:
            found.append(f"\n-> {check.todo}", "bold" if check.ok is False else "yellow")
        rows.add_row(Text(WORDS[check.ok], style), Text(name), found)
    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(rows)
        console.print(Text(_summary(checks)))
    return captured.get().rstrip("\n")


def _summary(checks: Sequence[Check]) -> str:
    counts = {word: sum(check.ok is ok for check in checks) for ok, word in WORDS.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
