"""The options of the commands, as frozen classes; a class adds its own to those it inherits.

Values are texts as the person wrote them: `palmbot.config` alone understands settings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

if TYPE_CHECKING:
    from palmbot.config import Sources


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every command takes."""

    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False
    config: Annotated[
        Path | None, typer.Option("--config", metavar="F", help="Settings file instead of ./palmbot.toml.")
    ] = None
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more; show where an error happened.")] = False
    command: ClassVar[str] = ""  # whose options mean settings of its own

    def sources(self) -> Sources:
        """Return where the settings of this command come from."""
        from palmbot.config import OPTIONS, Sources  # noqa: PLC0415 - keeps `palmbot --help` fast

        given = {f"--{field.name.strip('_').replace('_', '-')}": getattr(self, field.name) for field in fields(self)}
        own = {option: f"{self.command} {option}" for option in given}
        named = {own[option] if own[option] in OPTIONS else option: value for option, value in given.items()}
        texts = {name: _text(value) for name, value in named.items() if name in OPTIONS}
        return Sources(
            config_file=self.config,
            params_file=getattr(self, "params", None),
            options={option: text for option, text in texts.items() if text is not None},
            sets=tuple(getattr(self, "sets", None) or ()),
        )


def _text(value: str | bool | None) -> str | None:
    """Return the option's text; None where it was not given. A flag ``--no-X`` says no to X."""
    if isinstance(value, bool):
        return "false" if value else None
    return value


@dataclass(frozen=True, kw_only=True)
class Chosen(Options):
    """What is traded, and by which rules."""

    profile: Annotated[
        str | None, typer.Option(metavar="P", help="Which profile decides: rsi_sentiment, rsi_trend or your own.")
    ] = None
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Change a setting, e.g. rsi_low=25. Repeatable.")
    ] = None
    symbol: Annotated[str | None, typer.Option(metavar="S", help="Which instrument is traded.")] = None
    balance: Annotated[str | None, typer.Option(metavar="N", help="Starting balance.")] = None
    params: Annotated[
        Path | None, typer.Option(metavar="F", help="Parameters that were found, e.g. best_params.json.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Inputs(Chosen):
    """What is traded, by which rules, on which data."""

    data: Annotated[str | None, typer.Option(metavar="F", help="Bars. Without it run generates a market.")] = None
    sentiment: Annotated[
        str | None, typer.Option(metavar="F", help="Sentiment: known_at,score[,published_at,source].")
    ] = None


@dataclass(frozen=True, kw_only=True)
class SchemaOptions(Options):
    """Options of ``palmbot config schema``."""

    best_params: Annotated[bool, typer.Option("--best-params", help="That of best_params.json instead.")] = False


@dataclass(frozen=True, kw_only=True)
class FileOptions(Options):
    """A file of bars, and what has to be known to read it."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Bars as text (CSV and its kin).")]
    symbol: Annotated[str | None, typer.Option(metavar="S", help="The instrument in the file.")] = None
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Change a setting, e.g. data.period=1h. Repeatable."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BacktestOptions(Inputs):
    """Options of ``palmbot backtest``."""

    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for trades.csv, equity.csv and report.html.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class OptimizeOptions(Inputs):
    """Options of ``palmbot optimize``."""

    method: Annotated[
        str | None,
        typer.Option(metavar="grid|genetic", help="Every point of a grid, or a guided search; default grid."),
    ] = None
    trials: Annotated[str | None, typer.Option(metavar="N", help="Most combinations tried; default 2500.")] = None
    workers: Annotated[str | None, typer.Option(metavar="N", help="Threads; default one a processor.")] = None
    dask: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Dask scheduler to fan out to; tls:// off this machine.")
    ] = None
    seed: Annotated[str | None, typer.Option(metavar="S", help="Seed of everything that is drawn; default 1.")] = None
    out: Annotated[Path, typer.Option(metavar="F", help="Where the best parameters go.")] = Path("best_params.json")
    command: ClassVar[str] = "optimize"


@dataclass(frozen=True, kw_only=True)
class AnalyzeOptions(Inputs):
    """Options of ``palmbot analyze``; chance and threads are those of ``palmbot optimize``."""

    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the CSV files, the figures and analysis.pdf.")]
    seed: Annotated[str | None, typer.Option(metavar="S", help="Seed of everything that is drawn; default 1.")] = None
    workers: Annotated[str | None, typer.Option(metavar="N", help="Threads; default one a processor.")] = None
    command: ClassVar[str] = "optimize"


@dataclass(frozen=True, kw_only=True)
class WalkForwardOptions(Inputs):
    """Options of ``palmbot walk-forward``; its search is that of ``palmbot optimize``."""

    windows: Annotated[int, typer.Option(metavar="N", min=1, help="How many tests, one after the other.")] = 10
    seed: Annotated[str | None, typer.Option(metavar="S", help="Seed of everything that is drawn; default 1.")] = None
    workers: Annotated[str | None, typer.Option(metavar="N", help="Threads; default one a processor.")] = None
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for walk_forward.json, report.html and the unseen trades."),
    ] = None
    command: ClassVar[str] = "optimize"


@dataclass(frozen=True, kw_only=True)
class ParityOptions(Options):
    """Options of ``palmbot parity``."""

    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="First decision, UTC.")] = None
    to: Annotated[str | None, typer.Option(metavar="T", help="Last decision, UTC.")] = None
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of a run; default: that of runs without --data.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(Inputs):
    """Options of ``palmbot run``; ``--for`` is a duration of wall time."""

    env: Annotated[str | None, typer.Option(metavar="paper|demo|live", help="Where orders go; default paper.")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Live quotes, no orders.")] = False
    exchange: Annotated[
        str | None, typer.Option(metavar="F", help="Trade on an exchange in another process: its ready line.")
    ] = None
    resume: Annotated[str | None, typer.Option(metavar="DIR", help="Continue the run kept in this folder.")] = None
    noise: Annotated[bool, typer.Option("--i-know-this-is-noise", help="Trade parameters whose verdict is NOISE.")] = (
        False
    )
    speed: Annotated[str | None, typer.Option(metavar="X|max", help="Market seconds a second; default 3600.")] = None
    for_: Annotated[str | None, typer.Option("--for", metavar="10m", help="Stop after this much time.")] = None
    host: Annotated[str | None, typer.Option(metavar="H", help="Address of the dashboard.")] = None
    port: Annotated[str | None, typer.Option(metavar="N", help="Port of the dashboard.")] = None
    no_web: Annotated[bool, typer.Option("--no-web", help="No dashboard.")] = False
