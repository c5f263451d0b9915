"""How the numbers of a run read: formats, names of reasons, and sentences that say what the numbers cannot say.

The sentences are never kinder than the numbers: a band that holds "no edge" is said to show no edge.
"""

from __future__ import annotations

from decimal import Decimal

from palmbot.core.types import Reason
from palmbot.research.output import iso_time, price_text
from palmbot.research.result import DataSet, RunResult
from palmbot.research.statistics import Summary
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, money_of_minor

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"
FEW_TRADES = 30

REASON_WORDS = {
    Reason.SL: "stop loss",
    Reason.TP: "take profit",
    Reason.TRAIL: "trailing stop",
    Reason.TIME: "time exit",
    Reason.SIGNAL: "exit signal",
    Reason.BREAKER_DAILY: "daily loss limit",
    Reason.BREAKER_DRAWDOWN: "drawdown halt",
    Reason.ROLL: "contract roll",
    Reason.FLAT: "flat before a pause",
    Reason.PAUSE_AHEAD: "pause ahead",
    Reason.HALT_DRAWDOWN: "drawdown halt",
    Reason.HALT_MANUAL: "halted by hand",
    Reason.DAILY_LOSS: "daily loss limit",
    Reason.OPEN_GAP: "gap at the open",
    Reason.NOT_ENOUGH_MONEY: "not enough margin",
}


def reason_words(name: str) -> str:
    """Return the reason called ``name`` in words, for instance ``stop loss`` for ``SL``."""
    return REASON_WORDS.get(Reason[name], name.lower().replace("_", " "))


def money_text(minor: int, money_digits: int) -> str:
    """Return money with thousands separators, for instance ``12,345.60``."""
    return f"{money_of_minor(minor, money_digits):,}".replace("-", MINUS)


def number_text(value: float | None, decimals: int = 2, unit: str = "") -> str:
    """Return ``value`` with ``decimals`` and its unit, which stays on its line; a dash for None, no negative zero."""
    if value is None:
        return DASH
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", MINUS) + (f"{NO_BREAK}{unit}" if unit else "")


def percent_text(share: float | None) -> str:
    """Return a share (0..1) in percent with one decimal."""
    return number_text(None if share is None else 100 * share, 1, "%")


def price_words(price_px: float, digits: int) -> str:
    """Return a price with thousands separators and at least ``digits`` decimals."""
    return f"{Decimal(price_text(price_px, digits)):,f}"


def volume_text(volume_cu: int, lot_cu: int) -> str:
    """Return a volume in lots with two decimals or as many as it needs."""
    lots = Decimal(volume_cu) / lot_cu
    rounded = lots.quantize(Decimal("0.01"))
    return f"{rounded if rounded == lots else lots:,f}"


def value_words(name: str, value: float) -> str:
    """Return the value of the parameter ``name``, with what it means where its unit is not one people think in."""
    exact = f"{value:,}".replace("-", MINUS)
    if value == 0:
        return exact
    if name.endswith("_ms"):
        return f"{exact} ({span_text(int(value))})"
    per_percent = 10_000 if name.endswith("_ppm") else 100 if name.endswith("_bp") else None
    return exact if per_percent is None else f"{exact} ({value / per_percent:g} %)"


def span_text(span_ms: int) -> str:
    """Return a length of time in the largest unit that divides it, for instance ``4 hours``."""
    units = ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"), (SECOND_MS, "second"), (1, "ms"))
    count, unit = next((span_ms // unit_ms, unit) for unit_ms, unit in units if span_ms % unit_ms == 0)
    return f"{count} {unit}{'' if count == 1 or unit == 'ms' else 's'}"


def day_text(ts_ms: int) -> str:
    """Return the UTC date of ``ts_ms``."""
    return iso_time(ts_ms)[:10]


def minute_text(ts_ms: int) -> str:
    """Return ``ts_ms`` in UTC to the minute."""
    return iso_time(ts_ms)[:16].replace("T", " ")


def headline(summary: Summary) -> str:
    """Return the one sentence about whether this run shows an edge."""
    band = summary.profit_factor_band
    if summary.trades == 0:
        return "No trade was closed: this run says nothing about the rules."
    if summary.trades < 2:
        return "One trade was closed: this run says nothing about the rules."
    if band is None:
        return f"None of the {summary.trades} trades lost: the profit factor is undefined, and far too little was seen."
    if band.hi is None:
        bounds = (
            f"The 5{DASH}95{NO_BREAK}% band of the profit factor begins at {number_text(band.lo)} and has no upper end"
        )
        return f"{bounds}: there are too few losses to judge, so this run does not show an edge."
    bounds = f"The 5{DASH}95{NO_BREAK}% band of the profit factor is {number_text(band.lo)} to {number_text(band.hi)}"
    if band.hi < 1:
        return f"{bounds}: on this series the rules lose money after costs, and bad luck alone does not explain it."
    if band.lo <= 1:
        return f"{bounds}: this run does not show an edge."
    return f"{bounds}: a profit on this series, seen in the sample; whether it lasts is not shown here."


def caveats(summary: Summary, result: RunResult, data: DataSet) -> tuple[str, ...]:
    """Return further sentences on what the numbers of a run can and cannot say, the gravest first."""
    said = []
    if data.synthetic:
        said.append("The market was generated. These numbers test the program; they say nothing about palm oil.")
    halt_ms = next((ts_ms for ts_ms, reason in result.halts if reason == Reason.HALT_DRAWDOWN), None)
    if halt_ms is not None:
        after = "until it was re-armed" if result.params.rearm_after_ms > 0 else "the rest of the series was not traded"
        said.append(f"The drawdown breaker halted trading on {day_text(halt_ms)}: {after}.")
    if 0 < summary.trades < FEW_TRADES:
        count = "one trade" if summary.trades == 1 else f"{summary.trades} trades"
        said.append(f"With {count} every band here is itself a rough guess.")
    said.append(
        "This is one run over one series. If the rules or their parameters were chosen with this series in view, the "
        "result flatters them: judge them on data they have never seen.",
    )
    if data.notes:
        count = "a note" if len(data.notes) == 1 else f"{len(data.notes)} notes"
        said.append(f"The data carry {count}, under Data below: what they doubt, doubt here too.")
    if summary.win_rate_geometry is not None and summary.win_rate is not None:
        said.append(
            f"A price that merely wanders would win {percent_text(summary.win_rate_geometry)} of trades with this stop "
            f"and target, before costs; here it was {percent_text(summary.win_rate)}.",
        )
    if summary.stop_loss_ratio_mean is not None:
        across = ": a stop does not bound the loss across a gap" if (summary.stop_loss_ratio_worst or 0) > 1.1 else ""
        said.append(
            f"Stopped trades lost {number_text(summary.stop_loss_ratio_mean)} times the planned risk on average and "
            f"{number_text(summary.stop_loss_ratio_worst)} times at worst{across}.",
        )
    if summary.equity_minor != summary.balance_minor:
        said.append("A position was open at the end: equity counts it at the last close, the trade statistics do not.")
    return tuple(said)
