"""What stands between a person's rule and the core: whatever the rule does, a side with its reason or one clear error.

A rule is a constant to the compiler, so here the plain function is asked; ``tests/unit/bootstrap/test_rule.py`` asks
the compiled one, in processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from palmbot.core import custom, signals
from palmbot.core.types import Indicators, Params, Profile, Reason, Sentiment, Side
from palmbot.errors import ConfigError

END_MS = 1_700_000_000_000
SHORTS, NO_SHORTS = Params(profile=int(Profile.CUSTOM)), Params(profile=int(Profile.CUSTOM), allow_short=0)
WEAK, ABSENT = int(Reason.SENTIMENT_WEAK), int(Reason.SENTIMENT_ABSENT)


def asked(monkeypatch: pytest.MonkeyPatch, rule: Callable[..., Any], params: Params = SHORTS) -> tuple[int, int]:
    """Return what the core hears of ``rule``."""
    monkeypatch.setattr(custom, "rule", rule)
    plain: Callable[..., tuple[int, int]] = vars(custom.entry)["py_func"]
    return plain(params, Indicators(), Sentiment(), END_MS)


@pytest.mark.parametrize(
    ("answer", "params", "heard"),
    [
        ((1, 0), SHORTS, (Side.LONG, Reason.ENTRY_LONG)),
        ((-1, 0), SHORTS, (Side.SHORT, Reason.ENTRY_SHORT)),
        ((0, 0), SHORTS, (Side.FLAT, Reason.NO_SIGNAL)),
        ((-1, 0), NO_SHORTS, (Side.FLAT, Reason.NO_SIGNAL)),
        ((1, WEAK), SHORTS, (Side.LONG, WEAK)),
        ((-1, ABSENT), SHORTS, (Side.SHORT, ABSENT)),
        ((-1, WEAK), NO_SHORTS, (Side.FLAT, Reason.NO_SIGNAL)),
        ((0, WEAK), SHORTS, (Side.FLAT, Reason.NO_SIGNAL)),
    ],
)
def test_a_side_comes_with_its_reason(
    answer: tuple[int, int], params: Params, heard: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(monkeypatch, lambda *_: answer, params) == heard


@pytest.mark.parametrize("answer", [(2, 0), (-2, 0), (1, -1), (1, ABSENT - 1), (1, WEAK + 1), (0, int(Reason.TP))])
def test_nonsense_is_one_error_that_names_file_and_bar(
    answer: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom.RuleError, "file", "my_rule.py")
    with pytest.raises(custom.RuleError, match="RULE_NONSENSE") as caught:
        asked(monkeypatch, lambda *_: answer)
    assert caught.value.facts == {"file": "my_rule.py", "decision_ms": END_MS}


def test_a_rule_that_raises_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> tuple[int, int]:
        raise ZeroDivisionError

    with pytest.raises(custom.RuleError, match="RULE_RAISED"):
        asked(monkeypatch, raising)


def test_a_rule_is_given_all_that_the_core_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, ...]] = []

    def listening(*each: object) -> tuple[int, int]:
        given.append(each)
        return 0, 0

    asked(monkeypatch, listening)
    assert given == [(SHORTS, Indicators(), Sentiment(), END_MS)]


def test_without_a_rule_the_compiled_core_refuses() -> None:
    assert not custom.is_there
    for ask in (custom.entry, signals.entry):
        with pytest.raises(ConfigError) as caught:
            ask(SHORTS, Indicators(), Sentiment(), END_MS)
        assert (type(caught.value), caught.value.exit_code) == (custom.RuleError, 2)
