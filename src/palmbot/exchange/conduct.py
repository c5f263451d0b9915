"""How the venue behaves where nobody knows how the real one does (sheet 12), and how long it takes: choices, all."""

from __future__ import annotations

from dataclasses import dataclass, field

from palmbot.exchange.values import PositionStatus


@dataclass(frozen=True, slots=True)
class Delays:
    """What takes time, in market time (sheet 6). In lock-step it is all 0."""

    fill_ms: int = 130  # from acceptance, or from a trigger, to the fill
    protect_ms: int = 20  # from a fill to the protective order that it asks for, moves or ends


@dataclass(frozen=True, slots=True)
class VenueKnobs:
    """What is unknown or differs from broker to broker. The defaults are the sheet's inferences."""

    # liquidity: what an order finds when it is executed
    liquidity_cu: int | None = None  # so much in all; None is enough for everybody
    slice_cu: int | None = None  # so much a deal; None is one deal an order
    slices_say_filled: bool = False  # partial fills are told as ORDER_FILLED, as an old flow table has it
    unfilled_is_rejected: bool = False  # ORDER_REJECTED instead of ORDER_CANCELLED where nothing was filled
    # orders
    refuses_known_client_ids: bool = False  # a client order id that a working order of the account carries
    ioc_limit_rests: bool = True  # an IOC limit order rests like GTC
    fok_limit_rests: bool = False  # and a FOK limit order too, until all of it is there at once
    range_takes_levels: bool = False  # MARKET_RANGE may carry absolute levels
    pending_while_closed: bool = False  # pending orders may be placed and amended outside the session
    amend_clears: bool = True  # what an amend of an order leaves out is cleared, not kept
    expiry_step_ms: int = 1  # GTD expires at the first multiple of this from its time on
    late_cancel_is_event: bool = True  # a cancel that lost its race: ORDER_CANCEL_REJECTED; else an error
    busy_order_code: str = ""  # to an amend or a cancel of an order that is being executed; empty = UNABLE_TO_..._ORDER
    unknown_symbol_code: str = "SYMBOL_NOT_FOUND"  # or UNKNOWN_SYMBOL, which means the same
    shell_on_accept: bool = True  # ORDER_ACCEPTED shows the position that the order may open
    positions_max: int | None = None  # open positions of an account; more is TOO_MANY_POSITIONS
    # positions
    busy_position_code: str = "POSITION_LOCKED"  # or another for a position that is being closed: PENDING_EXECUTION
    fresh_ms: int = 0  # after its fill a position is not found by amends and closes for so long
    close_takes_what_there_is: bool = False  # a close of more than is open closes all; else TRADING_BAD_VOLUME
    bare_close_status: PositionStatus = PositionStatus.CLOSED  # in the FILLED of a full close without protection
    bare_removal_cancels: bool = True  # both levels removed: ORDER_CANCELLED of the type-4 order; else ORDER_REPLACED
    keeps_distance: bool = True  # levels keep the symbol's least distance; in lock-step the bot alone sees to it
    flip_keeps_position: bool = False  # netted: what is left of an order that closed its position opens the same id
    # margin
    stop_out_is_accepted: bool = True  # a stop-out tells ORDER_ACCEPTED before ORDER_FILLED
    debt_is_forgiven: bool = True  # a balance below zero is made good where nothing is open (cash flow type 39)


@dataclass(frozen=True, slots=True)
class Conduct:
    """Both together."""

    delays: Delays = field(default_factory=Delays)
    knobs: VenueKnobs = field(default_factory=VenueKnobs)


LOCK_STEP = Conduct(Delays(0, 0), VenueKnobs(keeps_distance=False, debt_is_forgiven=False))
