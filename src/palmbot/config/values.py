"""What people write, and the exact value it stands for: one class for each kind of setting.

A percentage carries its sign, a duration its unit; a bare number never has to be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

EXPONENT_MAX = 40  # nobody means 1e-99999, and writing it out would fill the memory
_DURATION_MS = MappingProxyType({"d": DAY_MS, "h": HOUR_MS, "m": MINUTE_MS, "s": SECOND_MS, "ms": 1})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern})+")


class BadTextError(ValueError):
    """A text is not a value of its kind.

    Args:
        code: the code of the error that the person will see.
        todo: one sentence that says what to write.
    """

    def __init__(self, code: str, todo: str) -> None:
        super().__init__(code, todo)
        self.code = code
        self.todo = todo


class Kind(Protocol):
    """A kind of value: text in, exact value out, and back."""

    def parse(self, text: str) -> Any:  # noqa: ANN401 - each kind has its own type; the builder knows which
        """Return the value of ``text`` or raise `BadTextError`."""

    def show(self, value: Any) -> str:  # noqa: ANN401 - as above
        """Return the text that parses to ``value``."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the value in a TOML file."""


def plain(number: Decimal) -> str:
    """Return ``number`` without exponent and trailing zeros."""
    return format(number.normalize(), "f")


def decimal_of(text: str) -> Decimal:
    """Return the number ``text``.

    Raises:
        BadTextError: it is not a finite number.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > EXPONENT_MAX:
        raise BadTextError("BAD_NUMBER", "Write a number, for instance 25 or 0.5.")
    return number


@dataclass(frozen=True, slots=True)
class Number:
    """A number between ``low`` and ``high`` (both allowed).

    ``scale`` is the core's units in one unit of the person's; a ``whole`` number must come out as an integer there.
    Parses to int when whole, else to an exact Decimal.
    """

    low: Decimal | int
    high: Decimal | int
    whole: bool = False
    suffix: str = ""
    scale: Decimal | int = 1

    def parse(self, text: str) -> int | Decimal:
        """Return the value of ``text`` in the core's units."""
        if self.suffix and not text.endswith(self.suffix):
            raise BadTextError("BAD_PERCENT", 'Write a percentage with its sign, for instance "1.5%".')
        number = decimal_of(text.removesuffix(self.suffix).strip())
        if not self.low <= number <= self.high:
            raise BadTextError(
                "OUT_OF_RANGE",
                f"Choose {plain(Decimal(self.low))}{self.suffix} to {plain(Decimal(self.high))}{self.suffix}.",
            )
        value = number * self.scale
        if not self.whole:
            return value
        if value != value.to_integral_value():
            finest = plain(1 / Decimal(self.scale))
            raise BadTextError("BAD_NUMBER", f"Write a multiple of {finest}{self.suffix}.")
        return int(value)

    def show(self, value: float | Decimal) -> str:
        """Return ``value`` (core's units) as the person writes it."""
        return plain(Decimal(str(value)) / self.scale) + self.suffix

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        if self.suffix:
            return {"type": "string", "pattern": rf"^[0-9.]+\s*{self.suffix}$"}
        kind = "integer" if self.whole and self.scale == 1 else "number"
        return {"type": kind, "minimum": float(self.low), "maximum": float(self.high)}

    def raw(self) -> Number:
        """Return the kind of the same value in the core's own units."""
        return Number(self.low * self.scale, self.high * self.scale, whole=self.whole)


def percent(low: str, high: str, core_units: Decimal | int, *, whole: bool = True) -> Number:
    """Return the kind of a percentage of which one percent is ``core_units``."""
    return Number(Decimal(low), Decimal(high), whole=whole, suffix="%", scale=core_units)


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration such as ``5s``, ``10m``, ``2h``, ``1d`` or ``1h30m``; parses to ms."""

    low_ms: int = 0
    high_ms: int = 36_500 * DAY_MS

    def parse(self, text: str) -> int:
        """Return the milliseconds of ``text``."""
        if text != "0" and _DURATIONS.fullmatch(text) is None:
            raise BadTextError("BAD_DURATION", "Write a duration with its unit, for instance 5s, 10m, 2h or 1d.")
        total = sum((Decimal(count) * _DURATION_MS[unit] for count, unit in _DURATION.findall(text)), Decimal(0))
        if not self.low_ms <= total <= self.high_ms:
            raise BadTextError("OUT_OF_RANGE", f"Choose {self.show(self.low_ms)} to {self.show(self.high_ms)}.")
        return int(total)

    def show(self, value: int) -> str:
        """Return ``value`` ms in the largest unit that divides it."""
        for unit, unit_ms in _DURATION_MS.items():
            if value and value % unit_ms == 0:
                return f"{value // unit_ms}{unit}"
        return "0s"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "string", "pattern": rf"^(0|{_DURATIONS.pattern})$"}

    def raw(self) -> Number:
        """Return the kind of the same value in milliseconds."""
        return Number(self.low_ms, self.high_ms, whole=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    values: Mapping[str, Any]

    def parse(self, text: str) -> Any:  # noqa: ANN401 - whatever the words stand for
        """Return what the word ``text`` stands for."""
        value = self.values.get(text.lower())
        if value is None:
            raise BadTextError("BAD_CHOICE", f"Choose one of: {', '.join(self.values)}.")
        return value

    def show(self, value: Any) -> str:  # noqa: ANN401 - as above
        """Return the word for ``value``."""
        return next(word for word, meant in self.values.items() if meant == value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"enum": list(self.values)}

    def raw(self) -> Number:
        """Return the kind of the same value as the core's integer."""
        numbers = [int(value) for value in self.values.values()]
        return Number(min(numbers), max(numbers), whole=True)


@dataclass(frozen=True, slots=True)
class Flags:
    """Any of a few words, separated by commas; parses to the sum of their bits, ``none`` to 0."""

    values: Mapping[str, int]

    def parse(self, text: str) -> int:
        """Return the bits of the words in ``text``."""
        bits = 0
        for word in [] if text.lower() == "none" else [part.strip().lower() for part in text.split(",")]:
            if word not in self.values:
                raise BadTextError("BAD_CHOICE", f"Choose any of: {', '.join(self.values)}; or none.")
            bits |= self.values[word]
        return bits

    def show(self, value: int) -> str:
        """Return the words for ``value``."""
        return ", ".join(word for word, bit in self.values.items() if value & bit) or "none"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "array", "items": {"enum": list(self.values)}}

    def raw(self) -> Number:
        """Return the kind of the same value as the core's integer."""
        return Number(0, sum(self.values.values()), whole=True)


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    def parse(self, text: str) -> bool:
        """Return whether ``text`` says yes."""
        word = text.lower()
        if word in {"true", "yes", "on", "1"}:
            return True
        if word in {"false", "no", "off", "0"}:
            return False
        raise BadTextError("BAD_FLAG", "Write true or false.")

    def show(self, value: int) -> str:
        """Return ``true`` or ``false``."""
        return "true" if value else "false"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "boolean"}

    def raw(self) -> Flag:
        """Return itself: 0 and 1 are understood."""
        return self


@dataclass(frozen=True, slots=True)
class Text:
    """A word that matches ``pattern``; ``hint`` says what it is."""

    pattern: str
    hint: str

    def parse(self, text: str) -> str:
        """Return ``text``."""
        if re.fullmatch(self.pattern, text) is None:
            raise BadTextError("BAD_TEXT", f"Write {self.hint}.")
        return text

    def show(self, value: str) -> str:
        """Return ``value``."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "string", "pattern": f"^({self.pattern})$"}


@dataclass(frozen=True, slots=True)
class FilePath:
    """A file or folder; one that ``must_exist`` is looked for at once."""

    must_exist: bool = True

    def parse(self, text: str) -> Path:
        """Return the path ``text``, ``~`` expanded."""
        path = Path(text).expanduser()
        if self.must_exist and not path.exists():
            raise BadTextError("FILE_NOT_FOUND", "Give the path of a file that exists, seen from the current folder.")
        return path

    def show(self, value: Path) -> str:
        """Return the path as text."""
        return str(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Speed:
    """Market seconds a wall second, or ``max``; parses to None for ``max``."""

    number: Number = Number(Decimal("0.001"), 10_000_000)

    def parse(self, text: str) -> float | None:
        """Return the speed ``text``."""
        if text == "max":
            return None
        try:
            return float(self.number.parse(text))
        except BadTextError as bad:
            raise BadTextError(bad.code, 'Write market seconds a second, for instance 3600, or "max".') from None

    def show(self, value: float | None) -> str:
        """Return ``value`` as text."""
        return "max" if value is None else self.number.show(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return {"anyOf": [self.number.schema(), {"const": "max"}]}


class Amount(NamedTuple):
    """A cost: price points of the instrument, or percent of the price."""

    value: Decimal
    percent: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost in price points (``2``) or percent (``0.05%``); ``signed`` ones may be negative, as a swap may."""

    signed: bool = False

    def parse(self, text: str) -> Amount:
        """Return the amount ``text``."""
        number = decimal_of(text.removesuffix("%").strip())
        if number < 0 and not self.signed:
            raise BadTextError("OUT_OF_RANGE", "A cost is zero or more.")
        if abs(number) > 1_000_000 or (text.endswith("%") and abs(number) > 100):
            raise BadTextError("OUT_OF_RANGE", "Choose at most 1000000 points or 100%.")
        return Amount(number, text.endswith("%"))

    def show(self, value: Amount) -> str:
        """Return ``value`` as text."""
        return plain(value.value) + ("%" if value.percent else "")

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        sign = "-?" if self.signed else ""
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": rf"^{sign}[0-9.]+\s*%?$"}]}
