"""``palmbot config``: begin, see and check settings."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from palmbot.cli.answer import Answer
from palmbot.cli.command import command
from palmbot.cli.options import Inputs, Options, SchemaOptions
from palmbot.errors import RefusedError

app = typer.Typer(help="Begin, see and check settings.", rich_markup_mode=None)


@command(app, "init", Options)
def init(options: Options) -> Answer:
    """Write a commented palmbot.toml that changes nothing yet. An existing file is never overwritten."""
    from palmbot.config import FILE_NAME, template  # noqa: PLC0415 - keeps `palmbot --help` fast

    path = options.config if options.config is not None else Path(FILE_NAME)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise RefusedError(
            "FILE_EXISTS", "Move the file away first, or name another with --config.", file=path
        ) from None
    return Answer({"file": str(path)}, f"Wrote {path}: every setting, commented out. `palmbot config show` reads it.")


@command(app, "show", Inputs)
def show(options: Inputs) -> Answer:
    """Show every setting as it holds now, and where each was said. Takes the options of `palmbot backtest`."""
    from palmbot.config import resolve  # noqa: PLC0415 - keeps `palmbot --help` fast

    resolution = resolve(options.sources())
    rows = {
        name: {"value": given.key.kind.show(given.value()), "from": given.source}
        for name, given in sorted(resolution.values.items())
    }
    name_width = max(len(name) for name in rows)
    value_width = min(max(len(row["value"]) for row in rows.values()), 40)
    lines = (f"{name:<{name_width}}  {row['value']:<{value_width}}  {row['from']}" for name, row in rows.items())
    return Answer({"settings": rows}, "\n".join(lines))


@command(app, "schema", SchemaOptions)
def schema(options: SchemaOptions) -> Answer:
    """Print the JSON schema of palmbot.toml, for editors and checks."""
    if options.best_params:
        from palmbot.research.found import schema as of_file  # noqa: PLC0415 - keeps `palmbot --help` fast
    else:
        from palmbot.config import schema as of_file  # noqa: PLC0415 - as above
    return Answer(of_file(), json.dumps(of_file(), indent=2))
