"""Small fakes of the bot's ports, for what the real parts cannot be made to do: fail, be silent, answer late.

All of them write what happens into one shared list of words, so that a test can assert the order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from palmbot.errors import HaltError
from palmbot.live.inbox import Inbox
from palmbot.model import (
    AccountSnapshot,
    BrokerEvent,
    BrokerPosition,
    Fill,
    HistoryBar,
    IntentKind,
    JournalEvent,
    OrderIntent,
)

ACCOUNT = AccountSnapshot(account_id=1, balance_minor=10_000_000, money_digits=2, leverage=20, hedged=True)


class FakeClock:
    """A machine clock that moves only when it is told to."""

    def __init__(self, now_ms: int = 5_000_000) -> None:
        self.now_ms = now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms

    def utc_ms(self) -> int:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1_000)


class FakeQuotes:
    """Market data with a history that the test wrote."""

    def __init__(self, log: list[str], bars: Sequence[HistoryBar] = ()) -> None:
        self.bars = tuple(bars)
        self._log = log

    async def history(self, symbol: str, period_ms: int, count: int) -> Sequence[HistoryBar]:  # noqa: ARG002 - the port's
        return self.bars[-count:]

    async def subscribe(self, symbol: str) -> None:
        self._log.append(f"subscribe {symbol}")


class FakeTrading:
    """A broker that shows what the test says and answers a request only through ``answer``."""

    def __init__(self, log: list[str], account: AccountSnapshot = ACCOUNT) -> None:
        self.shown = account
        self.fills: dict[int, tuple[Fill, ...]] = {}
        self.sent: list[OrderIntent] = []
        self.answer: Callable[[OrderIntent], None] = lambda _: None
        self._log = log

    def shows(self, *positions: BrokerPosition, balance_minor: int | None = None) -> None:
        """Let the broker hold exactly ``positions`` from now on."""
        balance = self.shown.balance_minor if balance_minor is None else balance_minor
        self.shown = replace(self.shown, positions=positions, balance_minor=balance)

    def asked(self, kind: IntentKind) -> list[OrderIntent]:
        """Return the requests of ``kind`` that were sent."""
        return [intent for intent in self.sent if intent.kind is kind]

    async def account(self) -> AccountSnapshot:
        self._log.append("look")
        return self.shown

    async def deals(self, position_id: int) -> Sequence[Fill]:
        return self.fills.get(position_id, ())

    async def submit(self, intent: OrderIntent) -> None:
        self._log.append(f"send {intent.kind}")
        self.sent.append(intent)
        self.answer(intent)


class FakeJournal:
    """A journal in a list: ``written`` is durable, ``waiting`` is deferred.

    ``full``: the next write fails, and from then on everything, as in the real one; ``failed``: it did already.
    """

    def __init__(self, log: list[str], written: Sequence[JournalEvent] = ()) -> None:
        self.written = list(written)
        self.waiting: list[JournalEvent] = []
        self.full = False
        self.failed = False
        self.closed = False
        self._log = log

    async def append(self, events: Sequence[JournalEvent]) -> int:
        self.failed = self.failed or self.full
        self._refuse()
        self.written += [*self.waiting, *events]
        self.waiting.clear()
        self._log.extend(f"journal {event.kind}" for event in events)
        return len(self.written)

    def defer(self, events: Sequence[JournalEvent]) -> None:
        self._refuse()
        self.waiting += events

    async def flush(self) -> None:
        await self.append(())
        self._log.append("flush")

    def last(self, kind: str) -> JournalEvent | None:
        return next((event for event in reversed(self.written) if event.kind == kind), None)

    def events(self, kind: str, after_seq: int = 0) -> Sequence[JournalEvent]:
        return [event for event in self.written[after_seq:] if event.kind == kind]

    async def close(self) -> None:
        self.closed = True

    def _refuse(self) -> None:
        if self.failed:
            self._log.append("journal full")
            raise HaltError("JOURNAL_UNWRITABLE", "Free disk space.", reason="SQLITE_FULL")


class FakePacer:
    """Notes when the bot says that it is idle; nobody waits for it."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def idle(self) -> None:
        self._log.append("idle")

    async def wait_idle(self) -> None:
        raise AssertionError("the bot never waits for itself")


Step = Callable[[], BrokerEvent | None]


class Script(Inbox):
    """An inbox that plays a test's steps whenever the bot would wait; each returns an event, or None for silence.

    What was ``put`` meanwhile comes first. ``waits`` are the patience of each wait, in seconds.
    """

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = list(steps)
        self.waits: list[float | None] = []

    async def get(self, timeout_s: float | None = None) -> BrokerEvent | None:
        if not self.is_empty:
            return await super().get()
        self.waits.append(timeout_s)
        if not self.steps:
            raise AssertionError(f"the script is over and the bot waits on, for {timeout_s} s")
        return self.steps.pop(0)()
