"""What nobody has established about the real server's wire (sheet 12): a knob each, set to the likeliest answer.

The knobs of the venue itself (fills, amends, stop-outs) are with the venue. Timings are of the machine clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.exchange.trade_limits import PUBLISHED, TradeLimit
from palmbot.units import MINUTE_MS, SECOND_MS

ACCESS_TOKEN_MS = 2_628_000 * SECOND_MS


@dataclass(frozen=True, slots=True)
class Knobs:
    """How the server answers where documents and recordings leave it open; every field says what it decides."""

    # -- connections
    silence_ms: int = 60_000  # a client that sends nothing for so long is disconnected
    heartbeat_ms: int = 25_000  # the server's own heartbeat after so long without sending
    connections_max: int | None = None  # of one application; the published figures (2, 25) are advice
    per_second: int | None = 50  # requests a connection; None, here or below, is no limit at all (lock-step)
    historical_per_second: int | None = 5  # of all historical kinds together
    trade_limits: tuple[TradeLimit, ...] = PUBLISHED  # of one account, where there are limits at all
    rate_limit_code: str = "BLOCKED_PAYLOAD_TYPE"  # with a time to wait; or REQUEST_FREQUENCY_EXCEEDED, without
    stranger_max_bytes: int = 256 * 1024  # of one frame before application auth; after it the protocol's own cap
    buffer_max_bytes: int = 16 * 1024 * 1024  # of answers that a client does not read: then it is disconnected
    buffer_high_bytes: int = 256 * 1024  # above this its quotes wait, the newest of each symbol
    socket_buffer_bytes: int = 256 * 1024  # what the system may hold beside that: quotes in there grow old

    # -- access and reference
    is_live: bool = False  # the environment of this host; accounts of the other get CANT_ROUTE_REQUEST
    version_before_auth: bool = True  # whether 2104 is answered before application auth
    unauthorised_code: str = "INVALID_REQUEST"  # or ACCOUNT_NOT_AUTHORIZED: a request for an account without session
    access_token_ms: int = ACCESS_TOKEN_MS
    code_ms: int = MINUTE_MS  # life of an authorization code
    old_sessions_ms: int = 0  # how long sessions of a pair of tokens that died are still served
    one_grant_per_user: bool = False  # whether authorizing again kills the tokens given before (FAQ; live says no)
    dead_token_lists_nothing: bool = False  # an account list for a dead token: empty instead of an error
    tells_asking_id: bool = True  # whether other connections see the asking client's message id on its events

    unknown_symbol_is_error: bool = False  # as in a request to trade; else an unknown id is missing from the answer

    # -- lists
    page_rows: int = 1_000  # of a list without a number of rows of its own
    page_bars: int = 14_000
    page_ticks: int = 5_000
    list_window_max_ms: int = 604_800_000
    refuses_wide_windows: bool = True  # INCORRECT_BOUNDARIES; else the window is cut silently
    counted_has_more: bool = True  # whether hasMore is always set on bars asked for by count

    # -- market data
    starts_market: bool = True  # whether the first subscription to quotes does; else whoever built the exchange
    drops_unchanged_sides: bool = True  # of spots after the first
    closes_on_first_spot: bool = True  # whether the first spot carries sessionClose
    bars_without_spots_code: str = "INVALID_REQUEST"  # or NOT_SUBSCRIBED_TO_SPOTS
    depth_levels: int = 5

    @property
    def has_limits(self) -> bool:
        """Whether anybody may ask too often."""
        return self.per_second is not None and self.historical_per_second is not None
