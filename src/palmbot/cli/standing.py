"""How it stands with the tokens of one environment, for a person and as JSON. No token is ever in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from palmbot.adapters.oauth_login import account_lines
from palmbot.adapters.tokens import Standing, standing
from palmbot.cli.formats import moment, span
from palmbot.errors import PalmbotError
from palmbot.model import Renewal, Tokens
from palmbot.ports import TokenStore

_REFRESH, _LOGIN = "palmbot auth refresh --env {}", "palmbot auth login --env {}"
_TODO = MappingProxyType(
    {
        Standing.ABSENT: _LOGIN,
        Standing.VALID: "",
        Standing.DUE: _REFRESH,
        Standing.EXPIRED: _REFRESH,
        Standing.DOUBTFUL: _REFRESH,
        Standing.DEAD: _LOGIN,
    }
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of the tokens of ``environment`` at ``now_ms``; ``problem`` says why nothing is."""

    environment: str
    now_ms: int
    tokens: Tokens | None
    problem: PalmbotError | None = None

    @classmethod
    def of(cls, environment: str, store: TokenStore, now_ms: int) -> Picture:
        """Return the picture of the tokens in ``store``."""
        try:
            return cls(environment, now_ms, store.load())
        except PalmbotError as problem:  # of one environment; the other may be well
            return cls(environment, now_ms, None, problem)

    @property
    def exit_code(self) -> int:
        """0 where it could be told how it stands."""
        return 0 if self.problem is None else self.problem.exit_code

    @property
    def todo(self) -> str:
        """What a person should do; nothing where all is well."""
        if self.problem is not None:
            return self.problem.todo
        return _TODO[standing(self.tokens, self.now_ms)].format(self.environment)

    def to_json(self) -> dict[str, Any]:
        """Return the picture as plain JSON; times are UTC in ms, spans in s."""
        head = {"environment": self.environment, "state": self._state(), "todo": self.todo}
        tokens = self.tokens
        if tokens is None:
            return head
        return head | {
            "granted_ms": tokens.granted_ms,
            "age_s": (self.now_ms - tokens.granted_ms) // 1_000,
            "expires_ms": tokens.expires_ms,
            "expires_in_s": (tokens.expires_ms - self.now_ms) // 1_000,
            "scope": tokens.granted.scope,
            "account_id": tokens.account_id,
            "accounts": [asdict(account) for account in tokens.granted.accounts],
            "renewal": tokens.renewal.name.lower(),
            "asked_ms": tokens.asked_ms,
        }

    def text(self) -> str:
        """Return the picture as lines for a terminal."""
        lines = [f"{self.environment}: {self._state()}"]
        tokens = self.tokens
        if tokens is not None:
            left_ms = tokens.expires_ms - self.now_ms
            when = f"expire in {span(left_ms)}" if left_ms > 0 else f"expired {span(-left_ms)} ago"
            lines.append(f"  {span(self.now_ms - tokens.granted_ms)} old, {when} ({moment(tokens.expires_ms)} UTC)")
            lines.append(f"  permit {tokens.granted.scope}, used for account {tokens.account_id}; they open")
            lines += [f"  {line}" for line in account_lines(tokens.granted.accounts).splitlines()]
            if tokens.renewal is Renewal.FAILED and tokens.asked_ms is not None:
                lines.append(f"  the renewal of {moment(tokens.asked_ms)} UTC failed; nothing is lost")
        return "\n".join([*lines, f"  -> {self.todo}"] if self.todo else lines)

    def _state(self) -> str:
        if self.problem is not None:
            return f"unusable: {self.problem.code}"
        return str(standing(self.tokens, self.now_ms))
