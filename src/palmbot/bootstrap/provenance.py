"""Parameters that were found, before they are traded: on what, at which costs, by which rules, with which verdict.

Parameters that nothing speaks for are traded live by those alone who say so. Never examined counts as NOISE, and so
does a verdict on other rules of entry or exit than those that hold now, a rule of one's own and the program's by their
text included; one at lower costs than those that hold now; and one that had sentiment, or had none, unlike now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from palmbot import CORE_HASH
from palmbot.config.terms import costs_of
from palmbot.core.types import Profile
from palmbot.errors import ConfigError, RefusedError
from palmbot.instruments import InstrumentSpec
from palmbot.research.charges import charged
from palmbot.research.known import NONE, fingerprint
from palmbot.research.result import DataSet
from palmbot.settings import Charged, Environment, Found, Settings
from palmbot.units import price_of_px

FLAG = "--i-know-this-is-noise"
_OLDER = "does not say at which costs and with which sentiment and rolls: an older version wrote it, so search again."
_CHARGES = {  # what a search at less of it was charged too little of
    "round_trip_px": "a round trip",
    "night_long_px": "a night long",
    "night_short_px": "a night short",
}


def noise_notes(settings: Settings) -> tuple[str, ...]:
    """Return what to say of parameters from a file before they are traded; nothing where they were not from a file.

    Raises:
        RefusedError: ``PARAMS_ARE_NOISE``: they would be traded live, dry run included, and nobody accepted that.
    """
    found = settings.found
    if found is None:
        return ()
    why = " ".join(_doubts(found, settings))
    if not why:
        return ()
    if settings.run.environment is Environment.LIVE and not settings.run.accepts_noise:
        todo = f"Search better ones, or say {FLAG} to trade these all the same. {why}"
        raise RefusedError("PARAMS_ARE_NOISE", todo, file=found.file, verdict=found.verdict or "none")
    return (f"{found.file}: {why}",)


def _doubts(found: Found, settings: Settings) -> Iterator[str]:
    """Yield why nothing speaks for the parameters; nothing where their verdict holds."""
    if found.verdict is None:
        yield "These parameters were never examined, which counts as NOISE."
        return
    if found.verdict == "NOISE":
        yield " ".join(("The verdict on these parameters is NOISE.", *found.reasons))
        return
    changed = (*found.changed, *_other_rules(found))
    if changed:
        yield f"The verdict {found.verdict} was on another {', '.join(changed)}: that of these parameters is unknown."
    if found.charged is None or None in {found.sentiment, found.rolls}:
        yield f"The file {_OLDER}"
    elif settings.run.environment is not Environment.PAPER:  # on paper, the market's own costs and sentiment hold
        yield from _dearer(found.verdict, found.charged, settings)
        yield from _other_sentiment(found, settings)


def _other_rules(found: Found) -> Iterator[str]:
    """Yield which text that was compiled is not what was examined; a rule of one's own ends ``CORE_HASH``."""
    (core, _, rule), (core_now, _, rule_now) = (found.core or "").partition("-"), CORE_HASH.partition("-")
    if core != core_now:
        yield f"version of the program's rules ({found.version or 'unknown'})"
    if rule != rule_now:
        yield "rule_file"


def _dearer(verdict: str, was: Charged, settings: Settings) -> Iterator[str]:
    """Yield what is charged now and was not, at the price and rate that the search ended with."""
    now = charged(settings.instrument.core, was.price_px, was.rate_e8, {})
    for name, words in _CHARGES.items():
        less_px, more_px = getattr(was, name), getattr(now, name)
        if less_px < more_px and (name != "night_short_px" or settings.params.allow_short):
            less, more, price = (f"{price_of_px(each):g}" for each in (less_px, more_px, was.price_px))
            yield f"The verdict {verdict} was at {less} points for {words}, and at {price} it costs {more} now."
    if was.conversion_fee_bp < now.conversion_fee_bp:
        less, more = was.written["conversion_fee"], costs_of(settings.instrument)["conversion_fee"]
        yield f"The verdict {verdict} was at a conversion fee of {less}, and it is {more} now."


def _other_sentiment(found: Found, settings: Settings) -> Iterator[str]:
    had, has = found.sentiment != NONE, settings.data.sentiment_file is not None
    if settings.params.profile != Profile.RSI_TREND and had is not has:
        was, now = ("with", "there is none (--sentiment F)") if had else ("without", "there is some")
        yield f"The verdict {found.verdict} was {was} sentiment, and now {now}."


def noted(found: Found | None, data: DataSet) -> DataSet:
    """Return ``data`` with notes on how it differs from what parameters were found on; raises as `differences` does."""
    return replace(data, notes=(*data.notes, *differences(found, data)))


def differences(found: Found | None, data: DataSet) -> tuple[str, ...]:
    """Return a sentence for each thing about ``data`` that is not as it was when parameters were found.

    Newer bars are the rule; other costs, sentiment, rolls or rules of the program are worth a sentence each.

    Raises:
        ConfigError: they were found on another instrument or another bar period: they mean nothing here.
    """
    if found is None:
        return ()
    names = {found.instrument, found.symbol} - {None}
    if names and names.isdisjoint({data.spec.name, data.spec.symbol}):
        todo = "Trade them on the instrument that they were found on, or search again."
        raise ConfigError("PARAMS_OTHER_SYMBOL", todo, file=found.file, found=found.instrument, here=data.spec.name)
    if found.period_ms not in {None, data.period_ms}:
        todo = "Trade them on bars of the period that they were found on, or search again."
        raise ConfigError(
            "PARAMS_OTHER_PERIOD", todo, file=found.file, found_ms=found.period_ms, here_ms=data.period_ms
        )
    return tuple(_differences(found, data))


def _differences(found: Found, data: DataSet) -> Iterator[str]:
    if found.fingerprint not in {None, data.fingerprint}:
        yield f"The parameters of {found.file.name} were found on other bars: what it says of them is not this run."
    if found.adjustment not in {None, data.adjustment} and not data.synthetic:
        yield f"Those bars were adjusted for rolls otherwise: {found.adjustment}, here {data.adjustment}."
    if found.core not in {None, CORE_HASH}:
        yield f"They were found by version {found.version}, whose rules are not quite these: search again to be sure."
    if found.verdict is not None and (found.charged is None or None in {found.sentiment, found.rolls}):
        yield f"{found.file.name} {_OLDER}"
    elif found.charged is not None:
        yield from _other_costs(found.charged, data.spec)
        yield from _other_knowledge(found, data)


def _other_costs(was: Charged, spec: InstrumentSpec) -> Iterator[str]:
    for name, now in costs_of(spec).items():
        if was.written[name] != now:
            yield f"They were found with {name} {was.written[name]}, this run has {_in_words(name, now)}."


def _in_words(name: str, written: str) -> str:
    in_points = name in {"spread", "slippage", "commission", "swap_long", "swap_short"}
    return f"{written} points" if in_points and written[-1].isdigit() else written


def _other_knowledge(found: Found, data: DataSet) -> Iterator[str]:
    """Yield how sentiment and rolls differ; on other bars others are the rule, and only none is worth a word."""
    if not data.fingerprint:  # a market that is not in a file
        return
    for name, was, known in (("sentiment", found.sentiment, data.sentiment), ("rolls", found.rolls, data.rolls)):
        now = fingerprint(known)
        if was is None or was == now or (NONE not in {was, now} and found.fingerprint != data.fingerprint):
            continue
        if NONE in {was, now}:
            had, has = ("with", "without") if now == NONE else ("without", "with")
            yield f"They were found {had} {name}, this run is {has}."
        else:
            yield f"They were found with other {name}."
