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
    from palmbot.research.quality import QualityReport
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
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.research.quality import check as quality  # noqa: PLC0415 - as above

    settings = load_settings(options.sources())
    report = quality(replace(settings.data, file=options.file), settings.instrument)
    return Answer(report.to_json(), _report_text(report), exit_code=0 if report.ok else 1)


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


def _report_text(report: QualityReport) -> str:
    from palmbot.cli.formats import moment, price, span  # noqa: PLC0415 - keeps `palmbot --help` fast

    verdict = "can be used" if report.ok else "CANNOT be used"
    what = f"{report.rows} rows, {report.bars} bars of {span(report.period_ms)} of {report.instrument}"
    lines = [
        f"{report.file}: {verdict}",
        f"{what}, {moment(report.first_ms)} to {moment(report.last_ms)} UTC",
    ]
    for finding in report.findings:
        if finding.count:
            where = ", ".join(str(line) for line in finding.lines)
            more = " ..." if finding.count > len(finding.lines) else ""
            weight = "refused" if finding.refused else "odd"
            lines.append(f"  {weight:<7}  {finding.code:<24} {finding.count:>6}  at line {where}{more}")
    lines.append(
        f"  {report.missing_bars} bars and {report.missing_days} whole days of open sessions have no row "
        "(holidays among them)"
    )
    lines += [f"  gap      {moment(gap.from_ms)} to {moment(gap.to_ms)} ({gap.bars} bars)" for gap in report.gaps[:5]]
    lines += [
        f"  roll?    {moment(ts_ms, '%Y-%m-%d')} the price jumps by {price(gap_px, 2)}"
        for ts_ms, gap_px in report.suspected_rolls[:5]
    ]
    hidden = len(report.suspected_rolls) - 5
    if hidden > 0:
        lines.append(f"  roll?    and {hidden} more; --json shows all")
    return "\n".join(lines)
