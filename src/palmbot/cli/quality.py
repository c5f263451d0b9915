"""The quality of a file of bars as one screen of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palmbot.cli.formats import moment, price, span
from palmbot.research.quality import QualityReport
from palmbot.research.roll_check import RollCheck

SHOWN = 5
DAY = "%Y-%m-%d"


def report_text(report: QualityReport) -> str:
    """Return what a person should know before trading on the file: what is refused, what is odd, what is missing."""
    verdict = "can be used" if report.ok else "CANNOT be used"
    what = f"{report.rows} rows, {report.bars} bars of {span(report.period_ms)} of {report.instrument}"
    lines = [
        f"{report.file}: {verdict}",
        f"{what}, {moment(report.first_ms)} to {moment(report.last_ms)} UTC",
        *_findings(report),
        *_clock(report),
        *_missing(report),
        *_rolls(report),
        *_companions(report),
    ]
    return "\n".join(lines)


def _findings(report: QualityReport) -> Iterator[str]:
    for finding in report.findings:
        if finding.count:
            where = ", ".join(str(line) for line in finding.lines)
            more = " ..." if finding.count > len(finding.lines) else ""
            weight = "refused" if finding.refused else "odd"
            yield f"  {weight:<7}  {finding.code:<24} {finding.count:>6}  at line {where}{more}"


def _clock(report: QualityReport) -> Iterator[str]:
    if report.outside_ms:
        yield f"  outside  the session: {', '.join(moment(ts_ms) for ts_ms in report.outside_ms)}, first of all"
    if report.shift_h:
        yield (
            f"  clock?   stamps moved by {report.shift_h:+} h would lie in the session: check data.time_zone, and "
            "whose bars they are"
        )
    if report.dated:
        yield (
            f"  clock?   {report.dated} stamps name a day or a bar, not the opening: they are taken as the opening of "
            "the session on that date"
        )


def _missing(report: QualityReport) -> Iterator[str]:
    yield (
        f"  missing  {report.missing_bars} bars and {report.missing_days} whole days of open sessions "
        "(holidays among them)"
    )
    if report.missing_dates_ms:
        days = [moment(ts_ms, DAY) for ts_ms in report.missing_dates_ms]
        yield f"           first days: {', '.join(days)}{' ...' * (report.missing_days > len(days))}"
    for gap in report.gaps[:SHOWN]:
        yield f"  gap      {moment(gap.from_ms)} to {moment(gap.to_ms)} ({gap.bars} bars)"


def _rolls(report: QualityReport) -> Iterator[str]:
    if report.adjustment != "none":
        yield f"  rolls    adjusted away ({report.adjustment}), as data.adjustment or the file says"
    elif report.rolls is not None:
        yield from _given_rolls(report, report.rolls)
    elif report.suspected_rolls:
        jumps = [f"{moment(ts_ms, DAY)} by {price(gap_px, 2)}" for ts_ms, gap_px in report.suspected_rolls]
        yield f"  roll?    {len(jumps)} jumps on roll dates: {_listed(jumps)}"
        yield "           give the rolls (data.rolls), or say how they were adjusted (data.adjustment)"


def _given_rolls(report: QualityReport, rolls: RollCheck) -> Iterator[str]:
    does = (
        f"prices before each are scaled, the oldest by {rolls.factor:.4f}"
        if report.adjust == "proportional"
        else "each is charged to whoever holds through it"
    )
    yield f"  rolls    {rolls.given} with a known gap: {does}"
    if rolls.unknown:
        yield f"  rolls    {rolls.unknown} without: refused, or with data.unknown_rolls=ignore taken as profit or loss"
    yield f"  rolls    explain {rolls.found} of the unusual jumps on roll dates"
    for what, jumps in (("point the other way at", rolls.contradicted), ("do not explain", rolls.unexplained)):
        if jumps:
            shown = [f"{moment(each.ts_ms, DAY)} by {price(each.gap_px, 2)}" for each in jumps]
            yield f"  roll?    {what} {len(jumps)}: {_listed(shown)}"


def _companions(report: QualityReport) -> Iterator[str]:
    for each in report.companions:
        if each.rows == 0:
            yield f"  joined   {each.name}: no rows"
            continue
        since = f"{moment(each.first_ms)} to {moment(each.last_ms)}"
        yield f"  joined   {each.name}: {each.rows} rows, known {since}, at {each.covered:.1%} of the bars"
        if each.too_early:
            yield f"  odd      {each.too_early} rows of {each.name} are known before they were published: look-ahead"
        if each.superseded:
            yield f"  odd      {each.superseded} rows of {each.name} are known at the time of a later row, which wins"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + " ..." * (len(texts) > SHOWN)
