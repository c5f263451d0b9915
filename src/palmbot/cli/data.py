"""``palmbot data``: bring history in, judge it, see what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from palmbot.cli.answer import Answer
from palmbot.cli.command import command
from palmbot.cli.fetch import FetchOptions, fetch
from palmbot.cli.options import FileOptions, Options

if TYPE_CHECKING:
    from palmbot.research.store import ImportedSeries

app = typer.Typer(help="Bring bars in, judge them, see what is there.", rich_markup_mode=None)
FOLDER = "data"  # of imported series, in the data folder
command(app, "fetch", FetchOptions)(fetch)


@command(app, "import", FileOptions)
def import_(options: FileOptions) -> Answer:
    """Turn a file of bars into Parquet that knows its instrument, ready for --data."""
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.research.data import import_file  # noqa: PLC0415 - as above

    settings = load_settings(options.sources())
    path = import_file(options.file, settings.instrument, settings.data_dir / FOLDER, settings.data)
    return Answer({"path": str(path)}, f"Wrote {path}. Use it with: palmbot backtest --data {path}")


@command(app, "check", FileOptions)
def check(options: FileOptions) -> Answer:
    """Say what is wrong with a file of bars and what is merely odd. Exits with 1 when it could not be used."""
    from palmbot.cli.quality import report_text  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.config import load_settings  # noqa: PLC0415 - as above
    from palmbot.research.quality import check as quality  # noqa: PLC0415 - as above

    settings = load_settings(options.sources())
    report = quality(replace(settings.data, file=options.file), settings.instrument)
    return Answer(report.to_json(), report_text(report), exit_code=0 if report.ok else 1)


@command(app, "list", Options)
def list_(options: Options) -> Answer:
    """Show the series that were imported or fetched."""
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.research.data import list_imported  # noqa: PLC0415 - as above

    folder = load_settings(options.sources()).data_dir / FOLDER
    series = list_imported(folder)
    text = (
        "\n".join(_series_text(each) for each in series)
        or f"Nothing is in {folder} yet: palmbot data import FILE, or fetch."
    )
    return Answer({"series": [each.to_json() for each in series]}, text)


def _series_text(series: ImportedSeries) -> str:
    if series.problem:
        return f"{series.path}  cannot be used: {series.problem}"
    from palmbot.cli.formats import moment, span  # noqa: PLC0415 - keeps `palmbot --help` fast

    days = f"{moment(series.first_ms, '%Y-%m-%d')} to {moment(series.last_ms, '%Y-%m-%d')}"
    what = f"{series.ticks} ticks" if series.ticks else f"{series.bars} bars of {span(series.period_ms)}"
    return f"{series.path}  {series.symbol}  {what}  {days}"
