"""One line of a report, and how lines come about: each look has its time, and needs others that went well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from palmbot.errors import ConfigError, InvariantError, PalmbotError
from palmbot.ports import Clock
from palmbot.units import SECOND_MS

ValueT = TypeVar("ValueT")
NETWORK_TODO = "Look at this machine's network, proxy and firewall, then try again."
_SECRET_LENGTH_MIN = 4  # what is shorter hides nothing and would blank out plain words
_TEXT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Check:
    """One line. ``ok`` is None where nothing was looked at, and ``detail`` says why."""

    name: str
    ok: bool | None
    detail: str
    todo: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the line as plain JSON."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "todo": self.todo}


@dataclass(frozen=True, slots=True)
class Found(Generic[ValueT]):
    """What a look found. ``todo`` is advice: what is really wrong is raised."""

    value: ValueT
    detail: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Look(Generic[ValueT]):
    """A look that is over; ``found`` is None where it failed or was not taken, ``blame`` the look that failed."""

    blame: str
    found: Found[ValueT] | None = None

    @property
    def value(self) -> ValueT:
        """What was found.

        Raises:
            InvariantError: nothing was.
        """
        if self.found is None:
            raise InvariantError("NOTHING_FOUND", "Report this: a look was used that found nothing.", look=self.blame)
        return self.found.value


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one look may take, and all of them together."""

    look_ms: int = 5_000
    all_ms: int = 20_000


class Examination:
    """Collects lines.

    Args:
        clock: the machine's.
        limits: how long it may take.
        on_look: is told the name of each look before it begins.
    """

    def __init__(self, clock: Clock, limits: Limits, on_look: Callable[[str], None]) -> None:
        self.checks: list[Check] = []
        self._limits = limits
        self._clock = clock
        self._end_ms = clock.monotonic_ms() + limits.all_ms
        self._on_look = on_look
        self._secrets: list[str] = []

    def hide(self, *secrets: str) -> None:
        """Let no line show ``secrets``, whoever repeats them."""
        self._secrets += [each for each in secrets if len(each) >= _SECRET_LENGTH_MIN]

    async def look(self, name: str, probe: Callable[..., Awaitable[Found[ValueT]]], *needs: Look[Any]) -> Look[ValueT]:
        """Call ``probe`` with what ``needs`` found; note the line.

        A look that needs another which failed is not taken and says which: one trouble is one failed line.
        """
        blame = next((need.blame for need in needs if need.found is None), "")
        if blame:
            return self.leave(name, f"not reached: needs {blame}", blame)
        left_ms = min(self._limits.look_ms, self._end_ms - self._clock.monotonic_ms())
        if left_ms <= 0:
            return self.leave(name, f"not reached: the {self._limits.all_ms // SECOND_MS} s for all of this are over")
        self._on_look(name)
        try:
            async with asyncio.timeout(left_ms / SECOND_MS):
                found = await probe(*(need.value for need in needs))
        except TimeoutError:
            return self._failed(name, f"no answer in {left_ms / SECOND_MS:g} s", NETWORK_TODO)
        except PalmbotError as error:
            facts = " ".join(f"{key}={value}" for key, value in error.facts.items())
            return self._failed(name, f"{error.code}: {facts}" if facts else error.code, error.todo)
        except OSError as error:
            return self._failed(name, error.strerror or type(error).__name__, NETWORK_TODO)
        self._note(Check(name, ok=True, detail=found.detail, todo=found.todo))
        return Look(name, found)

    def leave(self, name: str, why: str, blame: str = "") -> Look[Any]:
        """Note that nothing was looked at, and why."""
        self._note(Check(name, None, why))
        return Look(blame or name)

    def _failed(self, name: str, detail: str, todo: str) -> Look[Any]:
        self._note(Check(name, ok=False, detail=detail, todo=todo))
        return Look(name)

    def _note(self, check: Check) -> None:
        self.checks.append(Check(check.name, check.ok, self._plain(check.detail), self._plain(check.todo)))

    def _plain(self, text: str) -> str:
        """Return ``text`` in one printable line without secrets: much of it is the words of strangers."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return "".join(letter if letter.isprintable() else " " for letter in text)[:_TEXT_MAX]


def wrong(code: str, todo: str, **facts: object) -> ConfigError:
    """Return the error of a look that found what a person has to change."""
    return ConfigError(code, todo, **facts)
