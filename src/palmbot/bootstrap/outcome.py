"""What a command shows of a run, and the run's result from its journal alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from palmbot.adapters.journal import Journal
from palmbot.core.types import Params
from palmbot.live.runner import Runner
from palmbot.model import Difference
from palmbot.research.journaled import Journaled, result_of, series_of
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary
from palmbot.settings import Environment, RunSettings, Settings


@dataclass(frozen=True, slots=True)
class Output:
    """What a command shows: one JSON object, or text."""

    result: RunResult
    series: DataSet
    summary: Summary
    folder: Path | None
    stopped: str = ""
    exit_code: int = 0
    run: RunSettings | None = None  # None of a backtest
    differences: tuple[Difference, ...] = ()  # of the broker's terms

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object."""
        body = self.summary.to_json()
        if self.run is not None:
            body["summary"] |= {
                "mode": self.run.environment.value,
                "dry_run": self.run.dry_run,
                "instrument_differences": [asdict(each) for each in self.differences],
            }
        return body

    def text(self) -> str:
        """Return a summary for a person."""
        from palmbot.research.terminal import terminal  # noqa: PLC0415 - only where it is shown

        text = terminal(self.summary, self.result, self.series, self.folder)
        if self.differences:
            rows = (f"  {each.name}: {each.broker}, configured {each.configured}" for each in self.differences)
            text = "\n".join([text, "", "The broker's terms counted:", *rows])
        return f"{mode_of(self.run)}: no order left this machine\n{text}" if self.run and self.run.dry_run else text


def mode_of(run: RunSettings) -> str:
    """Return where a run trades, as it is shown: ``paper``, or ``DEMO DRY RUN``."""
    if not run.dry_run:
        return run.environment.value
    return "DRY RUN" if run.environment is Environment.PAPER else f"{run.environment.upper()} DRY RUN"


def result_from(
    settings: Settings, params: Params, journal: Journal, runner: Runner, facts: tuple[str, tuple[int, ...], DataSet]
) -> tuple[RunResult, DataSet]:
    """Return what the journal says of the run, and its series; ``facts`` are run id, costs and the market's series."""
    run_id, costs, series = facts
    kept = Journaled(
        bars=tuple(each.body for each in journal.events("bar_closed", runner.started_seq) if each.body["live"]),
        stopped=journal.events("run_stopped", runner.started_seq)[-1].body,
        trades=journal.trades(run_id),
        refusals=journal.refusals(run_id),
        halts=tuple((each.ts_ms, each.body["reason"]) for each in journal.events("breaker", runner.started_seq)),
        start_balance_minor=runner.start_balance_minor,
        spread_minor=costs[0],
        slippage_minor=costs[1],
    )
    has_bars = settings.data.file is not None
    return result_of(kept, settings.profile, params), series if has_bars else series_of(kept, series)


def write_files(result: RunResult, series: DataSet, summary: Summary, folder: Path) -> None:
    """Write trades.csv, equity.csv and report.html into ``folder``."""
    from palmbot.research import output, report  # noqa: PLC0415 - only where files are asked for

    folder.mkdir(parents=True, exist_ok=True)
    output.write_trades(folder / "trades.csv", result, series)
    output.write_equity(folder / "equity.csv", result, series)
    report.write_report(result, series, summary, folder / "report.html", report.read_chart_script())
