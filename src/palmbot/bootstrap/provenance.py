"""Parameters that were found, before they are traded: on what, by which rules, and with which verdict.

Parameters that nothing speaks for are traded live by those alone who say so. Never examined counts as NOISE, and so
does a verdict on other rules of entry or exit than those that hold now, a rule of one's own by its text included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from palmbot import CORE_HASH
from palmbot.errors import ConfigError, RefusedError
from palmbot.research.result import DataSet
from palmbot.settings import Environment, Found, Settings

FLAG = "--i-know-this-is-noise"


def noise_notes(settings: Settings, *, is_accepted: bool) -> tuple[str, ...]:
    """Return what to say of parameters from a file before they are traded; nothing where they were not from a file.

    Raises:
        RefusedError: ``PARAMS_ARE_NOISE``: they would be traded live, dry run included, and nobody accepted that.
    """
    found = settings.found
    if found is None or not (found.is_noise or _is_other_rule(found)):
        return ()
    if settings.run.environment is Environment.LIVE and not is_accepted:
        todo = f"Search better ones, or say {FLAG} to trade these all the same. {_why(found)}"
        raise RefusedError("PARAMS_ARE_NOISE", todo, file=found.file, verdict=found.verdict or "none")
    return (f"{found.file}: {_why(found)}",)


def _why(found: Found) -> str:
    """Return why nothing speaks for the parameters."""
    if found.verdict is None:
        return "These parameters were never examined, which counts as NOISE."
    if found.verdict == "NOISE":
        return " ".join(("The verdict on these parameters is NOISE.", *found.reasons))
    changed = (*found.changed, *(("rule_file",) if _is_other_rule(found) else ()))
    return f"The verdict {found.verdict} was on another {', '.join(changed)}: that of these parameters is unknown."


def _is_other_rule(found: Found) -> bool:
    """Return whether the text of a rule of one's own, which ``CORE_HASH`` ends with, is not what was examined."""
    return found.core is not None and found.core.partition("-")[2] != CORE_HASH.partition("-")[2]


def noted(found: Found | None, data: DataSet) -> DataSet:
    """Return ``data`` with notes on how it differs from what parameters were found on.

    Newer bars are the rule, and other rolls or rules of the program are worth a sentence.

    Raises:
        ConfigError: they were found on another instrument or another bar period: they mean nothing here.
    """
    if found is None:
        return data
    names = {found.instrument, found.symbol} - {None}
    if names and names.isdisjoint({data.spec.name, data.spec.symbol}):
        todo = "Trade them on the instrument that they were found on, or search again."
        raise ConfigError("PARAMS_OTHER_SYMBOL", todo, file=found.file, found=found.instrument, here=data.spec.name)
    if found.period_ms not in {None, data.period_ms}:
        todo = "Trade them on bars of the period that they were found on, or search again."
        raise ConfigError(
            "PARAMS_OTHER_PERIOD", todo, file=found.file, found_ms=found.period_ms, here_ms=data.period_ms
        )
    return replace(data, notes=(*data.notes, *_differences(found, data)))


def _differences(found: Found, data: DataSet) -> Iterator[str]:
    if found.fingerprint not in {None, data.fingerprint}:
        yield f"The parameters of {found.file.name} were found on other bars: what it says of them is not this run."
    if found.adjustment not in {None, data.adjustment} and not data.synthetic:
        yield f"Those bars were adjusted for rolls otherwise: {found.adjustment}, here {data.adjustment}."
    if found.core not in {None, CORE_HASH}:
        yield f"They were found by version {found.version}, whose rules are not quite these: search again to be sure."
