"""The entry rule of a user's file, and what stands between it and the core.

``bootstrap.rule`` puts the compiled function here before anything that calls it is compiled, and compiled code is kept
under a key that holds the text of the file: to the compiler the rule is a constant, as the built-in ones are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from palmbot.core.compiled import compiled
from palmbot.core.types import Indicators, Params, Reason, Sentiment, Side
from palmbot.errors import ConfigError

Rule: TypeAlias = Callable[[Params, Indicators, Sentiment, int], tuple[int, int]]

_LONG = int(Side.LONG)
_SHORT = int(Side.SHORT)
_FLAT = int(Side.FLAT)
_NO_SIGNAL = int(Reason.NO_SIGNAL)
_FIRST_VETO = int(Reason.SENTIMENT_ABSENT)
_LAST_VETO = int(Reason.SENTIMENT_WEAK)
_ENTRY_LONG = int(Reason.ENTRY_LONG)
_ENTRY_SHORT = int(Reason.ENTRY_SHORT)
_RAISED = "Repair the rule: it may not fail whatever the indicators are; try it with the values of that bar."
_NONSENSE = "Let the rule answer -1, 0 or 1, or (side, veto) with a veto of 0 or what sentiment_veto answers."
_ABSENT = 'Name the file in the configuration file: [profile.NAME] rule = "custom", rule_file = "my_rule.py".'


class RuleError(ConfigError):
    """A user's rule failed, at the end of the bar ``decision_ms``."""

    file: ClassVar[str] = ""

    def __init__(self, code: str, todo: str, decision_ms: int) -> None:
        super().__init__(code, todo, file=self.file, decision_ms=decision_ms)


@compiled
def _absent(params: Params, indicators: Indicators, sentiment: Sentiment, decision_ms: int) -> tuple[int, int]:  # noqa: ARG001 - a rule is asked with all of it
    """Stand where no rule was put."""
    if decision_ms != -1:  # always so; the compiler has to see an answer
        raise RuleError("RULE_ABSENT", _ABSENT, decision_ms)
    return 0, 0


rule: Rule = _absent
is_there = False  # as ``rule``, a constant to the compiler: what asks for it every bar costs nothing without a rule


@compiled
def entry(params: Params, indicators: Indicators, sentiment: Sentiment, decision_ms: int) -> tuple[int, int]:
    """Return what ``signals.entry`` does, by the user's rule: ``(side, reason)``.

    Raises:
        RuleError: the rule raised, or answered something else than a side and a veto; or there is none.
    """
    failed, side, veto = False, 0, 0
    try:
        side, veto = rule(params, indicators, sentiment, decision_ms)
    except Exception:  # noqa: BLE001 - whatever a person's own code raises; which one, compiled code cannot say
        failed = True
    if failed:
        raise RuleError("RULE_RAISED", _RAISED, decision_ms)
    if side < _SHORT or side > _LONG or (veto != 0 and (veto < _FIRST_VETO or veto > _LAST_VETO)):
        raise RuleError("RULE_NONSENSE", _NONSENSE, decision_ms)
    if side == _FLAT or (side == _SHORT and params.allow_short == 0):
        return _FLAT, _NO_SIGNAL
    if veto != 0:
        return side, veto
    return side, _ENTRY_LONG if side == _LONG else _ENTRY_SHORT
