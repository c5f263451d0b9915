"""The exception tree, named by what the caller must do.

::

    PalmbotError                 any failure that palmbot explains itself; carries code, facts and a hint
    ├── UsageError               exit 2: the person must change a setting, a file or an argument
    │   ├── ConfigError          a setting is wrong
    │   └── DataError            a data file is wrong (file and line are in the facts)
    ├── RefusedError             exit 3: refused for safety; nothing was changed
    ├── DivergenceError          exit 4: two records of the same trades differ
    ├── RetryError               try again later; the action certainly did not happen
    ├── RejectedError            the broker said no; the action certainly did not happen
    ├── OutcomeUnknownError      reconcile first; never send again
    ├── HaltError                exit 1: stop trading now (for instance the journal cannot be written)
    └── InvariantError           exit 1: a bug; the program must not go on

An error prints as ``CODE: key=value ...`` and one line that says what to do.
"""

from __future__ import annotations


class PalmbotError(Exception):
    """Base of every error that palmbot explains itself.

    Args:
        code: upper-case name that is stable enough to search for, for instance ``DATA_NOT_SORTED``.
        todo: one sentence that says what the reader should do.
        facts: what is known, printed as ``key=value``. Never put a secret here.
    """

    exit_code = 1

    def __init__(self, code: str, todo: str, **facts: object) -> None:
        super().__init__(code, todo, facts)
        self.code = code
        self.todo = todo
        self.facts = facts

    def __str__(self) -> str:
        facts = " ".join(f"{key}={value}" for key, value in self.facts.items())
        return f"{self.code}: {facts}\n{self.todo}" if facts else f"{self.code}:\n{self.todo}"


class UsageError(PalmbotError):
    """The person must change something."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is wrong."""


class DataError(UsageError):
    """A data file is wrong."""


class RefusedError(PalmbotError):
    """Refused for safety; nothing was changed."""

    exit_code = 3


class DivergenceError(PalmbotError):
    """Two records of the same trades differ."""

    exit_code = 4


class RetryError(PalmbotError):
    """The action certainly did not happen and may be tried again later."""


class RejectedError(PalmbotError):
    """The broker said no; the action certainly did not happen."""


class OutcomeUnknownError(PalmbotError):
    """Nobody knows whether the action happened: reconcile, never send again."""


class HaltError(PalmbotError):
    """Trading must stop now."""


class InvariantError(PalmbotError):
    """A bug: the program must not go on."""
