"""Frozen values that cross the boundaries outside the core.

They mirror what the wire says (orders, deals, positions, spots), in the house's units. Nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import Any

from palmbot.calendar import Session
from palmbot.core.types import Instrument
from palmbot.errors import PalmbotError


class OrderKind(IntEnum):
    """Order types, numbered as on the wire."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    PROTECTION = 4  # the server-made order that carries a position's stop loss and take profit
    MARKET_RANGE = 5
    STOP_LIMIT = 6


class Execution(IntEnum):
    """Execution types, numbered as on the wire; ``ERROR`` stands for the separate order-error message."""

    ERROR = 0
    ACCEPTED = 2
    FILLED = 3
    REPLACED = 4
    CANCELLED = 5
    EXPIRED = 6
    REJECTED = 7
    CANCEL_REJECTED = 8
    SWAP = 9
    DEPOSIT_WITHDRAW = 10
    PARTIAL_FILL = 11


class IntentKind(StrEnum):
    """What an intent asks the broker for."""

    ENTER = "enter"
    AMEND = "amend"
    CLOSE = "close"


class LinkState(Enum):
    """State of the link to the broker as the dashboard shows it."""

    CONNECTING = "connecting"
    READY = "ready"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Quote:
    """A spot of one symbol. ``bid_px``/``ask_px`` are None when unchanged; ``rate_e8`` is quote to deposit."""

    symbol: str
    ts_ms: int
    bid_px: int | None
    ask_px: int | None
    rate_e8: int = 100_000_000


@dataclass(frozen=True, slots=True)
class HistoryBar:
    """A bar of bid prices from the broker's history. ``ts_ms`` is its first tick or bucket start."""

    ts_ms: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    is_forming: bool = False  # the newest one may not have ended yet


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """A position as the broker reports it, after the event it came with. Flat when ``volume_cu`` is 0."""

    position_id: int
    symbol: str
    side: int
    volume_cu: int
    entry_px: int
    sl_px: int | None
    tp_px: int | None
    swap_minor: int
    commission_minor: int
    used_margin_minor: int
    label: str
    open_ms: int


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker reports it. ``sl_px``/``tp_px`` are the levels of a protective order."""

    order_id: int
    client_order_id: str
    kind: OrderKind
    symbol: str
    side: int
    volume_cu: int
    executed_cu: int
    position_id: int
    closing: bool
    sl_px: int | None
    tp_px: int | None
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Close:
    """The money of a closing deal; charges are <= 0, everything is added to the balance."""

    entry_px: int
    gross_minor: int
    swap_minor: int
    commission_minor: int  # opening and closing side of the closed part
    fee_minor: int
    closed_cu: int
    balance_minor: int  # after this deal
    rate_e8: int


@dataclass(frozen=True, slots=True)
class Fill:
    """A deal. ``close`` is present exactly when it reduced a position."""

    deal_id: int
    order_id: int
    position_id: int
    side: int
    volume_cu: int
    price_px: int
    ts_ms: int
    commission_minor: int
    close: Close | None


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An execution event, or the refusal of a request (``error_code`` set)."""

    execution: Execution
    ts_ms: int
    order: BrokerOrder | None = None
    position: BrokerPosition | None = None
    fill: Fill | None = None
    error_code: str = ""
    error_text: str = ""
    request_id: str = ""  # client order id of the request this answers; empty for the server's own events
    server_made: bool = False


@dataclass(frozen=True, slots=True)
class CashEvent:
    """A deposit (positive) or withdrawal (negative)."""

    ts_ms: int
    delta_minor: int
    balance_minor: int
    balance_version: int = 0  # 0 where the broker does not say it


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """The link to the broker changed, or the feed ended (``ended``)."""

    ts_ms: int
    state: LinkState
    detail: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class TermsEvent:
    """The broker states other terms than before.

    ``barred`` says why nothing may be entered under them, empty where it may; then ``instrument`` and ``session`` are
    what to go on with.
    """

    barred: str
    instrument: Instrument
    session: Session


BrokerEvent = Quote | OrderEvent | CashEvent | LinkEvent | TermsEvent


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """The broker's account: balance, and what it holds."""

    account_id: int
    balance_minor: int
    money_digits: int
    leverage: int
    hedged: bool
    positions: tuple[BrokerPosition, ...] = ()
    orders: tuple[BrokerOrder, ...] = ()
    balance_version: int = 0  # one more with each change of the balance; 0 where the broker does not say it


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A request that is journaled before it is sent.

    ENTER needs side, volume and both relative distances; AMEND the position and both absolute levels; CLOSE the
    position and its full volume. ``client_order_id`` is also the label, at most 30 characters.
    """

    kind: IntentKind
    client_order_id: str
    symbol: str
    side: int
    volume_cu: int
    reason: int
    ts_ms: int
    sl_px: int = 0  # ENTER: distance; AMEND: level
    tp_px: int = 0
    position_id: int = 0
    bar_end_ms: int = 0
    risk_minor: float = 0.0


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One append-only row of the journal; ``body`` is plain JSON."""

    kind: str
    ts_ms: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed position, one row whatever the number of its deals."""

    entry_ms: int
    exit_ms: int
    side: int
    volume_cu: int
    entry_px: int
    exit_px: float  # volume-weighted mean of the closing deals, in px
    exit_reason: int
    pnl_minor: int
    gross_minor: int
    swap_minor: int
    commission_minor: int
    fee_minor: int
    risk_minor: float
    sl_px: int = 0  # first stop level as placed at the fill; 0 where unknown
    tp_px: int = 0  # target level as placed at the fill; 0 where unknown


@dataclass(frozen=True, slots=True)
class Difference:
    """One of an instrument's terms as it is configured, and as the broker states it; in the words of a person."""

    name: str
    configured: str
    broker: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A signal that did not become a position, and why."""

    bar_end_ms: int
    side: int
    reason: int


@dataclass(frozen=True, slots=True)
class BreakerView:
    """One breaker as shown to a person. ``until_ms`` 0 means until a person re-arms it."""

    reason: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class BotView:
    """Everything a view of the running bot needs; made anew by the runner, never changed."""

    mode: str
    synthetic: bool
    symbol: str
    profile: str
    digits: int
    money_digits: int
    lot_cu: int
    clock_ms: int
    bid_px: int
    ask_px: int
    bar: HistoryBar | None
    bars_closed: int
    warmup_bars: int
    rsi: float
    sentiment: float | None
    sentiment_age_ms: int | None
    balance_minor: int
    equity_minor: int
    day_open_minor: int
    daily_limit_minor: int
    peak_minor: int
    position: BrokerPosition | None
    position_reason: int
    sl_first_px: int
    breakers: tuple[BreakerView, ...]
    decisions: tuple[tuple[int, int, int], ...]  # (bar_end_ms, action, reason), newest first
    trades: tuple[Trade, ...]  # the newest few, newest first
    trades_count: int
    wins_count: int
    link: LinkState
    differences: tuple[Difference, ...] = ()  # of the broker's terms from the configured ones
    opens_ms: int = 0  # when the market opens; 0 where it is open, or nobody knows
    currency: str = ""  # of the account


class Scope(StrEnum):
    """What tokens permit, in the words that a login asks with."""

    ACCOUNTS = "accounts"  # read only
    TRADING = "trading"


@dataclass(frozen=True, slots=True)
class GrantedAccount:
    """A trading account that tokens open. ``account_id`` is the wire's number, ``login`` the one in a terminal."""

    account_id: int
    is_live: bool
    login: int
    broker: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What an access token opens."""

    scope: Scope
    accounts: tuple[GrantedAccount, ...]


class Renewal(StrEnum):
    """What became of the newest request for the next pair of tokens."""

    NEVER = "never asked for"
    ASKED = "asked for, no answer known"
    DONE = "done"
    FAILED = "certainly not carried out"
    REFUSED = "refused: these tokens are dead"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One living pair of tokens and what it opens. Times are UTC; ``account_id`` is the account to trade."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    granted_ms: int
    expires_ms: int  # of the access token; the refresh token lives until it is used
    granted: Granted
    account_id: int
    asked_ms: int | None = None  # when the next pair was last asked for
    renewal: Renewal = Renewal.NEVER


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself; times are UTC."""

    subject: str
    issuer: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a server showed when TLS was begun with it.

    ``chain`` begins with its own certificate. ``failure`` says why it is not talked to; then there is no version and no
    cipher, and the chain is what it sent, trusted or not.
    """

    version: str
    cipher: str
    chain: tuple[Certificate, ...]
    failure: PalmbotError | None = None
