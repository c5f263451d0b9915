"""What a broker agreed with the holder of an account: the attributes that the wire calls the trader."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.exchange.values import (
    AccessRights,
    AccountType,
    LimitedRiskMargin,
    StopOutOrder,
    TotalMargin,
)

DEFAULT_CALLS_PCT = ((61, 100.0), (62, 80.0), (63, 60.0))


@dataclass(frozen=True, slots=True)
class Terms:
    """One account's attributes but for its balance (sheet 4.4). They change by ``Venue.set_terms`` alone."""

    account_id: int
    deposit_asset_id: int
    login: int = 0  # the number shown in a terminal, not the key of requests
    money_digits: int = 2
    leverage_in_cents: int = 10_000  # 10 000 = 1:100
    max_leverage_in_cents: int = 0  # 0 = that of the account
    type: AccountType = AccountType.HEDGED
    rights: AccessRights = AccessRights.FULL_ACCESS
    is_live: bool = False
    is_swap_free: bool = False  # a roll-over commission instead of swaps
    total_margin: TotalMargin = TotalMargin.SUM
    is_limited_risk: bool = False  # every order needs a guaranteed stop loss
    limited_risk_margin: LimitedRiskMargin = LimitedRiskMargin.ACCORDING_TO_LEVERAGE
    is_fair_stop_out: bool = True  # a stop-out closes whole positions
    stop_out_order: StopOutOrder = StopOutOrder.MOST_MARGIN_USED_FIRST
    stop_out_pct: int = 50  # margin level below which positions are closed; no client is told it
    broker: str = "palmbot-simulated"
    registered_ms: int = 0


@dataclass(frozen=True, slots=True)
class MarginCall:
    """A threshold of the margin level that its holder is told of, at most once in ten minutes."""

    kind: int  # 61, 62 or 63
    threshold_pct: float
    updated_ms: int = 0
    told_ms: int | None = None  # when it was last told; None = never


DEFAULT_MARGIN_CALLS = tuple(MarginCall(kind, threshold_pct) for kind, threshold_pct in DEFAULT_CALLS_PCT)
