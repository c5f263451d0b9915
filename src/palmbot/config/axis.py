"""The values that a search may give one setting, as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from palmbot.config.values import BadTextError, Duration, Kind, Number

VALUES_MAX = 10_000
_RANGE = re.compile(r"from (\S+) to (\S+) step (\S+)")
_TODO = 'Write values, as in ["1%", "2%"], or a range, as in {from = 20, to = 40, step = 5}.'


@dataclass(frozen=True, slots=True)
class Axis:
    """Several values of one kind: ``20, 25, 30``, or ``from 20 to 40 step 5``; parses to a rising tuple."""

    kind: Kind

    def parse(self, text: str) -> tuple[Any, ...]:
        """Return the different values of ``text``, rising."""
        match = _RANGE.fullmatch(text)
        found = (
            [self.kind.parse(part.strip()) for part in text.split(",")]
            if match is None
            else self._range(*match.groups())
        )
        return tuple(sorted(set(found)))

    def _range(self, low_text: str, high_text: str, step_text: str) -> list[Any]:
        """Return the values from low to high, both included where the step reaches them."""
        match self.kind:
            case Number():  # a step has the unit of the values, not their limits
                step = replace(self.kind, low=0, high=Decimal(self.kind.high) - self.kind.low).parse(step_text)
            case Duration():
                step = Duration().parse(step_text)
            case _:
                raise BadTextError("BAD_AXIS", "List the values of this setting: it is no number.")
        low, high = self.kind.parse(low_text), self.kind.parse(high_text)
        if step <= 0 or low > high:
            raise BadTextError("BAD_AXIS", "Let the range rise: from <= to, and a step above zero.")
        count = int((high - low) // step) + 1
        if count > VALUES_MAX:
            raise BadTextError("BAD_AXIS", f"Choose a larger step: an axis has at most {VALUES_MAX} values.")
        return [low + place * step for place in range(count)]

    def show(self, value: tuple[Any, ...]) -> str:
        """Return ``value`` as text."""
        return ", ".join(self.kind.show(each) for each in value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        each = self.kind.schema()
        ends = ("from", "to", "step")
        span = {
            "type": "object",
            "required": [*ends],
            "additionalProperties": False,
            "properties": dict.fromkeys(ends, each),
        }
        return {"anyOf": [each, {"type": "array", "items": each, "minItems": 1}, span]}

    def raw(self) -> Axis:
        """Return the axis of the same values in the core's own units."""
        raw = getattr(self.kind, "raw", None)
        return self if raw is None else Axis(raw())
