"""The verdict on a search's winner: a table of conditions, and the reasons in words.

======  =========================================================================================================
ROBUST  shuffled p < 0.01, PBO < 0.2, deflated Sharpe > 0.95, and the 5 % bound of the walk-forward profit factor > 1,
        over at least 30 trades: of fewer the bound says too much (7 that are worth nothing pass it 14 times in 100)
WEAK    shuffled p < 0.05, and the walk-forward profit factor > 1
NOISE   everything else
======  =========================================================================================================

All at cost x 1. Both walk-forwards count, the rolling and the anchored, and the worse of them decides. What is not
known never helps: a condition without its number is not met. A search whose decisions see ahead, or whose account a
broker would have closed, is NOISE whatever else it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from palmbot.research.evidence import Evidence, Tally, Target, Verdict, WalkForward
from palmbot.research.wording import NO_BREAK, day_text, number_text, percent_text

ROBUST, WEAK, NOISE = "ROBUST", "WEAK", "NOISE"

P_ROBUST, P_WEAK = 0.01, 0.05
PBO_MAX = 0.2
DEFLATED_MIN = 0.95
PROFIT_FACTOR_MIN = 1.0
UNSEEN_TRADES_MIN = 30

TARGETS: tuple[tuple[str, Callable[[Tally], float | None], Callable[[float], bool]], ...] = (
    ("profit factor > 1.5", lambda tally: tally.profit_factor, lambda value: value > 1.5),
    ("win rate > 50 %", lambda tally: tally.win_rate, lambda value: value > 0.5),
    ("max drawdown < 5 %", lambda tally: tally.max_drawdown_pct if tally.trades else None, lambda value: value < 5.0),
)


class Proof(NamedTuple):
    """The numbers that decide; None where the data cannot say."""

    p: float | None
    pbo: float | None
    deflated_sharpe: float | None
    profit_factor: float | None  # out of sample, of the worse walk-forward
    bound: float | None  # 5 % bound of it, of the worse walk-forward
    unseen_trades: int  # out of sample, of the walk-forward that made fewer


def proof_of(evidence: Evidence) -> Proof:
    """Return the numbers that decide."""
    both = (evidence.rolling, evidence.anchored)
    bands = [None if each is None else each.profit_factor_band for each in both]
    return Proof(
        None if evidence.shuffled is None else evidence.shuffled.p,
        evidence.pbo,
        evidence.deflated_sharpe,
        _least([None if each is None else each.tally.profit_factor for each in both]),
        _least([None if band is None else band.lo for band in bands]),
        min((each.tally.trades for each in both if each is not None), default=0),
    )


def is_robust(proof: Proof) -> bool:
    """Return whether every condition of ROBUST is met."""
    return (
        proof.p is not None
        and proof.p < P_ROBUST
        and proof.pbo is not None
        and proof.pbo < PBO_MAX
        and proof.deflated_sharpe is not None
        and proof.deflated_sharpe > DEFLATED_MIN
        and proof.bound is not None
        and proof.bound > PROFIT_FACTOR_MIN
        and proof.unseen_trades >= UNSEEN_TRADES_MIN
    )


def is_weak(proof: Proof) -> bool:
    """Return whether every condition of WEAK is met."""
    return (
        proof.p is not None
        and proof.p < P_WEAK
        and proof.profit_factor is not None
        and proof.profit_factor > PROFIT_FACTOR_MIN
    )


def verdict_of(evidence: Evidence, unexamined: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict on ``evidence`` with its reasons; ``unexamined`` are the stages that were cut off."""
    spoilt = _spoilt(evidence)
    if spoilt is not None:
        return Verdict(NOISE, (spoilt, "Do not trade these parameters."))
    if unexamined:
        cut_off = f"The examination was interrupted; not examined: {', '.join(unexamined)}."
        return Verdict(NOISE, (cut_off, "What was found may be luck; run the search again to its end to know more."))
    proof = proof_of(evidence)
    if is_robust(proof):
        return Verdict(ROBUST, (_luck(evidence, proof), _unseen(evidence), _depth(evidence, proof)))
    if is_weak(proof):
        missing = "; ".join(_missing(proof))
        return Verdict(WEAK, (_luck(evidence, proof), _unseen(evidence), f"That is not proof: {missing}."))
    return Verdict(NOISE, (_luck(evidence, proof), _unseen(evidence), "Do not trade these parameters."))


def decisive(evidence: Evidence) -> WalkForward | None:
    """Return the worse of the walk-forwards by profit factor, an unknown one being the worst; None where none is."""
    return min(_forwards(evidence), key=lambda each: _or_worst(each.tally.profit_factor), default=None)


def targets_of(in_sample: Tally | None, out_of_sample: Tally | None) -> tuple[Target, ...]:
    """Return the original plan's three targets, each met or not in sample and out of sample; unknown is not met."""
    found = []
    for name, value_of, meets in TARGETS:
        inside, outside = (None if tally is None else value_of(tally) for tally in (in_sample, out_of_sample))
        found.append(
            Target(
                name=name,
                in_sample=inside,
                out_of_sample=outside,
                met_in_sample=inside is not None and meets(inside),
                met_out_of_sample=outside is not None and meets(outside),
            )
        )
    return tuple(found)


def _least(values: list[float | None]) -> float | None:
    """Return the least of ``values``; None where one is not known."""
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _or_worst(value: float | None) -> float:
    return -1.0 if value is None else value


def _spoilt(evidence: Evidence) -> str | None:
    """Return why nothing that was found counts, or None."""
    if evidence.sees_ahead:
        return "The rules decided otherwise when the future was cut off: they see ahead, so no result counts."
    stopped_ms = next((each.stopped_out_ms for each in _forwards(evidence) if each.stopped_out_ms), 0)
    if stopped_ms:
        return f"On {day_text(stopped_ms)} a broker would have closed the account for lack of margin, out of sample."
    if evidence.trades == 0 and evidence.trades_max == 0:
        return (
            f"None of the {evidence.trials:,} combinations made a single trade: rules that ask for sentiment need "
            "--sentiment, and nothing trades before its warm-up or where every entry is refused."
        )
    if evidence.trades == 0:
        return (
            f"None of the {evidence.trials:,} combinations made the {evidence.trades_min} trades, without a margin "
            f"call, that it takes to be judged; the most was {evidence.trades_max:,}: give more bars."
        )
    return None


def _forwards(evidence: Evidence) -> Iterator[WalkForward]:
    yield from (each for each in (evidence.rolling, evidence.anchored) if each is not None)


def _luck(evidence: Evidence, proof: Proof) -> str:
    """Return how the search did on shuffled prices, in words."""
    surrogates = evidence.shuffled
    if surrogates is None or proof.p is None:
        return "Whether shuffled prices would have done as well is not known."
    as_good = round(proof.p * (surrogates.count + 1)) - 1
    numbers = f"{as_good} of {surrogates.count} of them (p = {number_text(proof.p, 3)})"
    if proof.p < P_WEAK:
        return f"Shuffled prices hold no edge, and the same search did as well on only {numbers}: luck is unlikely."
    return f"Shuffled prices hold no edge, yet the same search did as well on {numbers}: this can be luck."


def _unseen(evidence: Evidence) -> str:
    """Return what the worse walk-forward came to, in words."""
    worse = decisive(evidence)
    if worse is None or worse.tally.trades == 0:
        return "On bars that the search had not seen there are too few trades to say what it is worth."
    if worse.tally.profit_factor is None:
        none = f"none of {worse.tally.trades} trades lost"
        return f"On bars that the search had not seen {none}: without a loss nothing says how bad one would be."
    factor = worse.tally.profit_factor
    seen = f"on bars that the search had not seen: {worse.tally.trades} trades had profit factor {number_text(factor)}"
    if factor <= PROFIT_FACTOR_MIN:
        return f"After costs it lost money {seen}."
    bound = None if worse.profit_factor_band is None else worse.profit_factor_band.lo
    if worse.tally.trades < UNSEEN_TRADES_MIN or bound is None:
        return f"After costs it made money {seen}, too few to say how far chance reaches."
    if bound > PROFIT_FACTOR_MIN:
        return f"After costs it made money {seen}, and with 95{NO_BREAK}% confidence above {number_text(bound)}."
    return f"After costs it made money {seen}, but chance reaches down to {number_text(bound)}, a loss."


def _depth(evidence: Evidence, proof: Proof) -> str:
    return (
        f"Having tried {evidence.trials:,} combinations does not explain it: the chance that the choice is overfitted "
        f"is {percent_text(proof.pbo)}, and the confidence in an edge after so many tries "
        f"{percent_text(proof.deflated_sharpe)}."
    )


def _missing(proof: Proof) -> Iterator[str]:
    """Yield what ROBUST asks for beyond what ``proof`` has."""
    if proof.p is None or proof.p >= P_ROBUST:
        yield f"p is not below {P_ROBUST}"
    if proof.bound is None or proof.bound <= PROFIT_FACTOR_MIN:
        bound = "unknown" if proof.bound is None else number_text(proof.bound)
        yield f"the 5{NO_BREAK}% bound of the profit factor is {bound}, not above 1"
    if proof.unseen_trades < UNSEEN_TRADES_MIN:
        yield f"{proof.unseen_trades} unseen trades are fewer than {UNSEEN_TRADES_MIN}"
    if proof.pbo is None or proof.pbo >= PBO_MAX:
        yield f"the chance of an overfitted choice is {_known(proof.pbo)}, not below {percent_text(PBO_MAX)}"
    if proof.deflated_sharpe is None or proof.deflated_sharpe <= DEFLATED_MIN:
        yield (
            f"the confidence in an edge after so many tries is {_known(proof.deflated_sharpe)}, "
            f"not above {percent_text(DEFLATED_MIN)}"
        )


def _known(share: float | None) -> str:
    return "unknown" if share is None else percent_text(share)
