"""Where a run is kept, and that no second one keeps itself there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from palmbot.adapters.chance import name_part
from palmbot.adapters.clock import SystemClock
from palmbot.bootstrap.ready import read_ready
from palmbot.errors import ConfigError
from palmbot.settings import DataSettings, Environment, Settings

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its journal and the exchange's books."""

    folder: Path
    run_id: str

    @property
    def journal(self) -> Path:
        """The bot's journal."""
        return self.folder / "journal.sqlite"

    @property
    def books(self) -> Path:
        """The exchange's own books."""
        return self.folder / "exchange.sqlite"


def place_of(settings: Settings, clock: SystemClock) -> tuple[Place, Settings]:
    """Return where the run is kept: a folder of its own for a file, the resumed one, or the default journal.

    An account at an exchange in another process has a journal of its own, whatever port that exchange listens on; and
    so has a dry run, for what it did nobody else knows.
    """
    stamp = datetime.fromtimestamp(clock.utc_ms() / 1_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    run_id = f"{stamp}-{name_part()}"
    resumed = settings.run.resume_dir
    if resumed is not None:
        return Place(resumed, run_id), _resumed(settings, resumed)
    whose = None
    if settings.run.exchange_file is not None:
        whose = f"account-{read_ready(settings.run.exchange_file).account_id}"
    elif settings.run.environment is not Environment.PAPER:
        whose = settings.run.environment.value
    if whose is not None:
        return Place(settings.data_dir / (f"{whose}-dry" if settings.run.dry_run else whose), run_id), settings
    if settings.data.file is None:
        return Place(settings.data_dir, run_id), settings
    folder = settings.data_dir / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    data_settings = replace(settings.data, file=settings.data.file.resolve())
    if data_settings.sentiment_file is not None:
        data_settings = replace(data_settings, sentiment_file=data_settings.sentiment_file.resolve())
    body = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(data_settings).items()}
    del body["related"]  # research alone reads them
    (folder / RUN_FILE).write_text(json.dumps({"data": body}, indent=2), "utf-8")
    return Place(folder, run_id), settings


def _resumed(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the data that the run in ``folder`` began with."""
    try:
        body = json.loads((folder / RUN_FILE).read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            "NOT_A_RUN", "Name a folder under runs/ that an earlier `palmbot run --data` made.", folder=folder
        ) from error
    paths = {name: Path(body[name]) for name in ("file", "sentiment_file", "rolls_file", "rates_file") if body[name]}
    return replace(settings, data=DataSettings(**{**body, **paths}))
