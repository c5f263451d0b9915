"""The one loader of backtest and run: a file of bars becomes a `DataSet` (PARITY 1-4, 10, 26, 27, 47, 48, 59).

A bare text file takes its instrument from the caller. A Parquet file made by `import_file` carries its own: digits,
session, period, adjustment and costs are then the file's; what belongs to the account (balance, deposit currency,
money digits, leverage) is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from palmbot.core.types import CommissionKind, CostKind, SwapKind
from palmbot.errors import ConfigError, DataError
from palmbot.instruments import InstrumentSpec, pair_convention
from palmbot.research import store
from palmbot.research.known import read_rates, read_sentiment
from palmbot.research.output import iso_time
from palmbot.research.result import DataSet
from palmbot.research.rolls import NO_ROLLS, adjusted, read_rolls, suspected_rolls
from palmbot.research.rows import bars_of, bucket_flaws, period_of, period_text, place, read_rows, refuse, row_flaws
from palmbot.research.store import ImportedSeries
from palmbot.settings import DataSettings
from palmbot.units import price_of_px

NOTED = 3  # examples in a note


def load(settings: DataSettings, spec: InstrumentSpec) -> DataSet:
    """Return the series of ``settings.file`` with its rolls, sentiment and rates.

    Raises:
        DataError: a file is wrong; the facts name file and line, the sentence says what was expected.
        ConfigError: no file is given, or the costs cannot be right for a proportionally adjusted series.
    """
    data = _adjusted(settings, _bars(settings, spec))
    _refuse_costs_in_points(data)
    rolls, ignored = read_rolls(settings, data.spec, data.bars) if data.adjustment == "none" else (NO_ROLLS, 0)
    data = replace(data, rolls=rolls, notes=(*data.notes, *_roll_notes(settings, data, ignored)))
    if settings.sentiment_file is not None:
        data = replace(data, sentiment=read_sentiment(settings.sentiment_file, settings.time_zone))
    return _with_rates(data, settings)


def import_file(source: Path, spec: InstrumentSpec, out_dir: Path, settings: DataSettings | None = None) -> Path:
    """Write the text file ``source`` as Parquet with its instrument into ``out_dir`` and return the path of that file.

    ``settings`` says how to read it (period, adjustment, time zone). An earlier import of the same name is replaced.

    Raises:
        DataError: the file is wrong, or is Parquet already.
        PalmbotError: the result cannot be written.
    """
    if store.is_parquet(source):
        raise DataError("DATA_IMPORTED", "Use this file as it is: palmbot backtest --data FILE.", file=source)
    told = replace(settings or DataSettings(), file=source)
    data = _adjusted(told, _bars(told, spec))
    path = out_dir / f"{re.sub(r'[^A-Za-z0-9._-]', '_', data.name)}{store.SUFFIX}"
    store.write_series(path, data)
    return path


def list_imported(out_dir: Path) -> tuple[ImportedSeries, ...]:
    """Return what `import_file` wrote into ``out_dir``, by name; files that cannot be used say why."""
    return store.list_series(out_dir)


def _bars(settings: DataSettings, spec: InstrumentSpec) -> DataSet:
    """Return the bars of ``settings.file``, checked, without rolls, sentiment and rates."""
    if settings.file is not None and store.is_parquet(settings.file):
        return _imported(settings.file, settings, spec)
    rows = read_rows(settings, spec)
    refuse(rows, row_flaws(rows))
    placed = place(rows.ts_ms, period_of(rows.ts_ms, settings), spec)
    refuse(rows, bucket_flaws(rows.ts_ms, placed))
    bars = bars_of(rows, placed)
    if bars.ts_ms.size == 0:
        todo = (
            f"No row lies inside the session of {spec.name}: check data.time_zone, or choose the instrument (--symbol)."
        )
        first = iso_time(int(rows.ts_ms[0]))
        raise DataError("DATA_OUTSIDE_SESSION", todo, file=rows.table.file, line=int(rows.table.line[0]), first=first)
    outside = int(np.count_nonzero(~placed.inside))
    notes = []
    if settings.period_ms is None:
        how = "the most frequent difference of neighbouring times; if that is wrong, set data.period"
        notes.append(f"The bars are {period_text(placed.period_ms)} bars: {how}.")
    if outside:
        notes.append(f"{outside} of {rows.ts_ms.size} rows lie outside the session of {spec.name} and are left out.")
    if placed.moved:
        notes.append(f"{placed.moved} rows are stamped before the session opens: their first tick is its opening.")
    return DataSet(
        name=rows.table.file.stem,
        spec=spec,
        period_ms=placed.period_ms,
        adjustment=settings.adjustment,
        bars=bars,
        rolls=NO_ROLLS,
        sentiment=store.NO_SENTIMENT,
        rows_read=int(rows.ts_ms.size),
        rows_outside_session=outside,
        notes=tuple(notes),
        fingerprint=store.fingerprint(bars),
    )


def _imported(file: Path, settings: DataSettings, spec: InstrumentSpec) -> DataSet:
    """Return an imported series on the caller's account.

    Raises:
        DataError: the file is unusable, or contradicts a setting.
    """
    data = store.read_series(file)
    for setting, wanted, found in (
        (
            "data.period",
            period_text(data.period_ms if settings.period_ms is None else settings.period_ms),
            period_text(data.period_ms),
        ),
        ("data.adjustment", settings.adjustment, data.adjustment),
    ):
        if wanted not in {found, "none"}:
            todo = f"Leave {setting} out, or import the original file again with it."
            raise DataError("DATA_CONTRADICTS", todo, file=file, setting=setting, wanted=wanted, found=found)
    account = data.spec.core._replace(money_digits=spec.core.money_digits, leverage=spec.core.leverage)
    own = replace(data.spec, balance=spec.balance, deposit_currency=spec.deposit_currency, core=account)
    notes = data.notes
    if own != spec:
        notes += (f"Instrument and costs are those of the file ({own.name}), not of the configuration ({spec.name}).",)
    return replace(data, spec=own, notes=notes)


def _adjusted(settings: DataSettings, data: DataSet) -> DataSet:
    """Return ``data``, proportionally adjusted by its rolls where ``settings`` ask for that.

    Raises:
        ConfigError: no file of rolls is named.
        DataError: the series is adjusted already, or a gap is not known.
    """
    if settings.adjust == "none":
        return data
    if data.adjustment != "none":
        todo = "Leave data.adjust out: what is adjusted already is not adjusted again."
        raise DataError("DATA_ADJUSTED_ALREADY", todo, file=settings.file, adjustment=data.adjustment)
    if settings.rolls_file is None:
        todo = "Name the rolls and their gaps, for instance --set data.rolls=rolls.csv."
        raise ConfigError("ROLLS_MISSING", todo, setting="data.adjust", value=settings.adjust)
    rolls, ignored = read_rolls(settings, data.spec, data.bars)
    bars = adjusted(data.bars, rolls, data.spec.core.step_px)
    left = f"; {ignored} without a known gap were left as they are" if ignored else ""
    note = f"Prices before each of {rolls.ts_ms.size} rolls were scaled by its gap{left}."
    return replace(
        data, adjustment="proportional", bars=bars, notes=(*data.notes, note), fingerprint=store.fingerprint(bars)
    )


def _refuse_costs_in_points(data: DataSet) -> None:
    """Refuse point costs of a proportionally adjusted series: they would be wrong by its factor (PARITY 48)."""
    core = data.spec.core
    in_points = {
        "spread": core.spread_kind == CostKind.POINTS and core.spread != 0,
        "slippage": core.slippage_kind == CostKind.POINTS and core.slippage != 0,
        "commission": core.commission_kind != CommissionKind.PERCENT_OF_VALUE and core.commission_rate != 0,
        "swap": core.swap_kind == SwapKind.PRICE and (core.swap_long, core.swap_short) != (0, 0),
    }
    wrong = [name for name, so in in_points.items() if so]
    if data.adjustment == "proportional" and wrong:
        todo = (
            f"Give {', '.join(wrong)} in percent, for instance --set instrument.{wrong[0]}=0.05%: the prices of a "
            "proportionally adjusted series are scaled, and points would be wrong by that factor."
        )
        raise ConfigError("COSTS_IN_POINTS", todo, instrument=data.spec.name, adjustment=data.adjustment)


def _roll_notes(settings: DataSettings, data: DataSet, ignored: int) -> Iterator[str]:
    if settings.rolls_file is not None and data.adjustment != "none":
        yield f"The rolls of {settings.rolls_file.name} are not used: the series is adjusted for them already."
    if ignored:
        yield f"{ignored} rolls with an unknown gap are ignored: their jumps count as profit or loss."
    if settings.rolls_file is None and data.adjustment == "none":
        suspects = suspected_rolls(data.bars, data.spec)
        shown = [f"{iso_time(roll.ts_ms)[:10]} {price_of_px(roll.gap_px):+g}" for roll in suspects[:NOTED]]
        if suspects:
            yield (
                f"{len(suspects)} suspected rolls ({', '.join(shown + ['...'] * (len(suspects) > NOTED))}): an unusual "
                "overnight gap on a date on which the contract rolls, maybe news. If the series is raw, give its rolls "
                "(data.rolls); if it is adjusted, say so (data.adjustment)."
            )


def _with_rates(data: DataSet, settings: DataSettings) -> DataSet:
    """Return ``data`` with conversion rates where quote and deposit currency differ (PARITY 10)."""
    quote, deposit = data.spec.quote_currency, data.spec.deposit_currency
    if quote == deposit:
        return data
    if settings.rates_file is None:
        rate_e8 = np.zeros(data.bars.ts_ms.size, dtype=np.int64)
        note = f"No rate from {quote} to {deposit} is known, so every entry will be refused: give data.rates."
    else:
        is_inverse = pair_convention(quote, deposit)[0] != quote
        rate_e8 = read_rates(settings.rates_file, settings.time_zone, data.bars.ts_ms, is_inverse)
        without = int(np.count_nonzero(rate_e8 == 0))
        note = f"{without} bars come before the first rate from {quote} to {deposit}; entries there are refused."
    bars = data.bars._replace(rate_e8=rate_e8)
    notes = data.notes if rate_e8.all() else (*data.notes, note)
    return replace(data, bars=bars, notes=notes, fingerprint=store.fingerprint(bars))
