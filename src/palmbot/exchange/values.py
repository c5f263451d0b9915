"""What is asked of the exchange and what it tells: frozen values in the house's units, richer than the bot's model.

They mirror the protocol (sheet 4.6 and 6) field by field, with integers for prices and money. ``server`` turns them
into messages, ``broker`` into the bot's own values; nothing here knows about either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from palmbot.model import Execution, OrderKind


class OrderStatus(IntEnum):
    """Numbered as on the wire."""

    ACCEPTED = 1
    FILLED = 2
    REJECTED = 3
    EXPIRED = 4
    CANCELLED = 5


class PositionStatus(IntEnum):
    """Numbered as on the wire. A position is flat when its volume is 0, whatever the status says."""

    OPEN = 1
    CLOSED = 2
    CREATED = 3
    ERROR = 4


class DealStatus(IntEnum):
    """Numbered as on the wire; only the first two moved volume."""

    FILLED = 2
    PARTIALLY_FILLED = 3
    REJECTED = 4
    INTERNALLY_REJECTED = 5
    ERROR = 6
    MISSED = 7


class TimeInForce(IntEnum):
    """Numbered as on the wire."""

    GOOD_TILL_DATE = 1
    GOOD_TILL_CANCEL = 2
    IMMEDIATE_OR_CANCEL = 3
    FILL_OR_KILL = 4
    MARKET_ON_OPEN = 5


class Trigger(IntEnum):
    """Which quote triggers a stop, numbered as on the wire (sheet 4.8)."""

    TRADE = 1
    OPPOSITE = 2
    DOUBLE_TRADE = 3
    DOUBLE_OPPOSITE = 4


class AccountType(IntEnum):
    """Numbered as on the wire."""

    HEDGED = 0
    NETTED = 1
    SPREAD_BETTING = 2


class AccessRights(IntEnum):
    """Numbered as on the wire."""

    FULL_ACCESS = 0
    CLOSE_ONLY = 1
    NO_TRADING = 2
    NO_LOGIN = 3


class TotalMargin(IntEnum):
    """How the hedged legs of a symbol share margin, numbered as on the wire."""

    MAX = 0
    SUM = 1
    NET = 2


class LimitedRiskMargin(IntEnum):
    """The margin rule of limited-risk accounts, numbered as on the wire."""

    ACCORDING_TO_LEVERAGE = 0
    ACCORDING_TO_GSL = 1
    ACCORDING_TO_GSL_AND_LEVERAGE = 2


class StopOutOrder(IntEnum):
    """Which position a stop-out closes first, numbered as on the wire."""

    MOST_MARGIN_USED_FIRST = 0
    MOST_LOSING_FIRST = 1


class Via(Enum):
    """The form in which a refusal reaches the client (sheet 4.9 and 6.9)."""

    ERROR_RES = "E"  # 2142
    ORDER_ERROR = "O"  # 2132


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request changes nothing, in the broker's words."""

    code: str
    text: str
    via: Via = Via.ORDER_ERROR
    order_id: int = 0
    position_id: int = 0


# -- requests


@dataclass(frozen=True, slots=True)
class Brackets:
    """Protection that an order asks for: absolute levels or distances from the fill, None where not asked for."""

    sl_px: int | None = None
    tp_px: int | None = None
    sl_distance_px: int | None = None
    tp_distance_px: int | None = None
    guaranteed: bool = False
    trailing: bool = False
    trigger: Trigger = Trigger.TRADE


NO_BRACKETS = Brackets()


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A new order. ``side`` is 1 or -1; prices that its kind does not use are None."""

    symbol_id: int
    kind: OrderKind
    side: int
    volume_cu: int
    brackets: Brackets = NO_BRACKETS
    limit_px: int | None = None
    stop_px: int | None = None
    base_px: int | None = None  # MARKET_RANGE: the price that the slippage is counted from
    slippage_points: int | None = None  # MARKET_RANGE and STOP_LIMIT
    time_in_force: TimeInForce | None = None  # None: the usual one of its kind
    expires_ms: int | None = None
    position_id: int | None = None  # add to this position instead of opening one
    client_order_id: str = ""
    label: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """The complete new state of a pending order: what is None is cleared (sheet 4.6); volume None = unchanged."""

    order_id: int
    brackets: Brackets = NO_BRACKETS
    volume_cu: int | None = None
    limit_px: int | None = None
    stop_px: int | None = None
    expires_ms: int | None = None
    slippage_points: int | None = None
    left_out: frozenset[str] = frozenset()  # flags of ``brackets`` that were not said


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a pending order."""

    order_id: int


@dataclass(frozen=True, slots=True)
class AmendPosition:
    """Replace both levels of a position; a level that is None is removed. ``trailing`` None = as it is."""

    position_id: int
    sl_px: int | None = None
    tp_px: int | None = None
    guaranteed: bool | None = None
    trailing: bool | None = None
    trigger: Trigger = Trigger.TRADE


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """Close all or a part of a position at market."""

    position_id: int
    volume_cu: int
    client_order_id: str = ""


Request = NewOrder | AmendOrder | CancelOrder | AmendPosition | ClosePosition


# -- what is told


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order after an event. Prices are px; those that it does not carry are None.

    A protective order (kind PROTECTION) has its stop in ``stop_px`` and its target in ``limit_px``.
    """

    order_id: int
    account_id: int
    symbol_id: int
    kind: OrderKind
    status: OrderStatus
    side: int
    volume_cu: int
    executed_cu: int
    position_id: int
    closing: bool
    time_in_force: TimeInForce
    created_ms: int
    updated_ms: int
    client_order_id: str
    label: str = ""
    comment: str = ""
    execution_px: float | None = None  # volume-weighted mean of its deals, in px
    limit_px: int | None = None
    stop_px: int | None = None
    base_px: int | None = None
    slippage_points: int | None = None
    expires_ms: int | None = None
    brackets: Brackets = NO_BRACKETS  # as the venue reports them: distances where they are known, else levels
    is_stop_out: bool = False
    closed_ms: int | None = None  # set on a finished order


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position after an event. ``entry_px`` is the volume-weighted mean entry in px, 0 while CREATED or CLOSED."""

    position_id: int
    account_id: int
    symbol_id: int
    status: PositionStatus
    side: int
    volume_cu: int
    entry_px: float
    sl_px: int | None
    tp_px: int | None
    swap_minor: int
    commission_minor: int  # opening commission that is not realised yet, <= 0
    used_margin_minor: int
    margin_rate_e8: int  # base asset to deposit
    open_ms: int
    updated_ms: int
    label: str = ""
    comment: str = ""
    guaranteed: bool = False
    trailing: bool = False
    trigger: Trigger = Trigger.TRADE
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CloseView:
    """The money of a closing deal; charges are <= 0, everything is added to the balance (sheet 5.4)."""

    entry_px: float
    gross_minor: int
    swap_minor: int
    commission_minor: int  # opening and closing side of the closed part
    fee_minor: int
    closed_cu: int
    balance_minor: int  # after this deal
    balance_version: int
    rate_e8: int  # quote asset to deposit


@dataclass(frozen=True, slots=True)
class DealView:
    """A deal. ``close`` is present exactly when it reduced a position."""

    deal_id: int
    order_id: int
    position_id: int
    account_id: int
    symbol_id: int
    side: int
    volume_cu: int  # asked of the liquidity provider
    filled_cu: int  # what moved
    price_px: int
    status: DealStatus
    created_ms: int
    ts_ms: int
    commission_minor: int
    margin_rate_e8: int
    base_to_usd_e8: int
    close: CloseView | None = None


class CashKind(IntEnum):
    """The balance operations that the exchange makes itself, numbered as on the wire."""

    DEPOSIT = 0
    WITHDRAW = 1
    GSL_CHARGE = 17
    NEGATIVE_BALANCE_PROTECTION = 39


@dataclass(frozen=True, slots=True)
class CashView:
    """A change of the balance that is no trade."""

    cash_id: int
    account_id: int
    kind: CashKind
    delta_minor: int
    balance_minor: int
    balance_version: int
    equity_minor: int
    ts_ms: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One event of one account, in order: to be committed first, then told to everybody who may know.

    ``asked`` is the token that came with the request which this answers, empty for the exchange's own events.
    """

    execution: Execution
    account_id: int
    ts_ms: int
    order: OrderView | None = None
    position: PositionView | None = None
    deal: DealView | None = None
    cash: CashView | None = None
    error_code: str = ""
    error_text: str = ""
    asked: str = ""
    server_made: bool = False


@dataclass(frozen=True, slots=True)
class TrailMoved:
    """A trailing stop stepped (event 2107); the position's own timestamp stays (sheet 5.3)."""

    account_id: int
    position_id: int
    order_id: int
    stop_px: int
    ts_ms: int


@dataclass(frozen=True, slots=True)
class MarginMoved:
    """The margin that a position uses changed (event 2141)."""

    account_id: int
    position_id: int
    used_margin_minor: int


@dataclass(frozen=True, slots=True)
class MarginCalled:
    """The margin level fell to a threshold (event 2172); ``kind`` is 61, 62 or 63."""

    account_id: int
    kind: int
    threshold_pct: float
    ts_ms: int


@dataclass(frozen=True, slots=True)
class MarginCallSet:
    """The threshold of a margin call was changed (event 2171)."""

    account_id: int
    kind: int
    threshold_pct: float
    ts_ms: int


@dataclass(frozen=True, slots=True)
class TraderChanged:
    """Leverage, rights or another attribute of the account was changed by the broker (event 2123)."""

    account_id: int


Told = Report | TrailMoved | MarginMoved | MarginCalled | MarginCallSet | TraderChanged
