"""An instrument that an exchange lists comes back from its messages as it was, whatever a client had configured."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from palmbot.calendar import EPOCH, WEEK_MINUTES, Session, open_week
from palmbot.config.terms import differences
from palmbot.core.types import CommissionKind, CostKind, Instrument, SwapKind
from palmbot.exchange.account import Account
from palmbot.exchange.catalogue import catalogue_of
from palmbot.exchange.opening import plain_account
from palmbot.exchange.reference import full_symbol, light_symbol, trader_message
from palmbot.instruments import PALM_OIL, InstrumentSpec
from palmbot.protocol.messages import pb
from palmbot.protocol.statement import Statement, instrument_of
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS, step_px

ZONES = ("UTC", "Asia/Kuala_Lumpur", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
CURRENCIES = ("MYR", "USD", "EUR", "JPY")
PER_LOT = (CommissionKind.PER_LOT_DEPOSIT, CommissionKind.PER_LOT_QUOTE)
SPANS = st.builds(
    lambda start, length: (start, start + length), st.integers(0, WEEK_MINUTES - 1), st.integers(1, WEEK_MINUTES)
)
SESSIONS = st.builds(
    Session,
    st.sampled_from(ZONES),
    st.lists(SPANS, max_size=6).map(tuple),
    st.frozensets(st.builds(lambda days: EPOCH + timedelta(days), st.integers(0, 40_000)), max_size=4),
)


@st.composite
def cores(draw: st.DrawFn, digits: int, kinds: tuple[CommissionKind, ...], *, is_converted: bool) -> Instrument:
    step, step_cu = step_px(digits), draw(st.integers(1, 10_000))
    min_cu = step_cu * draw(st.integers(1, 100))
    rates = st.integers(-(10**14), 10**14)
    return Instrument(
        step_px=step,
        money_digits=draw(st.integers(0, 8)),
        lot_cu=draw(st.integers(1, 10**8)),
        volume_step_cu=step_cu,
        volume_min_cu=min_cu,
        volume_max_cu=min_cu + draw(st.integers(0, 10**9)),
        leverage=draw(st.integers(1, 2_000)),
        spread_kind=int(draw(st.sampled_from(CostKind))),
        spread=draw(st.integers(0, 50)) * step,
        slippage=draw(st.integers(0, 50)) * step,
        commission_kind=int(draw(st.sampled_from(kinds))),
        commission_rate=draw(st.integers(0, 10**12)),
        commission_min_minor=draw(st.integers(0, 10**6)),
        conversion_fee_bp=draw(st.integers(0, 10_000)) if is_converted else 0,
        sl_min_px=draw(st.integers(0, 10**7)),
        tp_min_px=draw(st.integers(0, 10**7)),
        swap_kind=int(draw(st.sampled_from(SwapKind))),
        swap_long=draw(rates),
        swap_short=draw(rates),
        swap_time_ms=draw(st.integers(0, 1_439)) * MINUTE_MS,
        swap_period_ms=draw(st.sampled_from((1, 2, 3, 4, 6, 8, 12, 24))) * HOUR_MS,
        swap_triple_weekday=draw(st.integers(-1, 6)),
        day_start_ms=draw(st.integers(0, 23)) * HOUR_MS,
    )


@st.composite
def specs(draw: st.DrawFn) -> InstrumentSpec:
    """Draw any instrument that the wire has words for."""
    digits = draw(st.integers(0, 5))
    quote, deposit = draw(st.sampled_from(CURRENCIES)), draw(st.sampled_from(CURRENCIES))
    sayable = deposit in {quote, "USD"}
    kinds = tuple(each for each in CommissionKind if sayable or each is not CommissionKind.PER_LOT_DEPOSIT)
    session = draw(SESSIONS)
    core = draw(cores(digits, kinds, is_converted=quote != deposit))
    return replace(
        PALM_OIL,
        digits=digits,
        time_zone=session.time_zone,
        quote_currency=quote,
        deposit_currency=deposit,
        session=session,
        core=core,
        day_start_ms=core.day_start_ms,
    )


def stated(spec: InstrumentSpec) -> Statement:
    """Return what an exchange that lists ``spec`` says over the wire."""
    catalogue = catalogue_of(spec)
    listing = catalogue.traded
    leverage = catalogue.leverage(listing.leverage_id)
    assert leverage is not None
    return Statement(
        trader=pb.Trader.FromString(
            trader_message(Account(plain_account(1, catalogue, 10_000_000))).SerializeToString()
        ),
        light=pb.LightSymbol.FromString(light_symbol(listing).SerializeToString()),
        full=pb.Symbol.FromString(full_symbol(listing).SerializeToString()),
        assets={each.asset_id: each.name for each in catalogue.assets},
        tiers=tuple(each.leverage for each in leverage.tiers),
    )


def meaning(spec: InstrumentSpec) -> InstrumentSpec:
    """Return the one spelling of all instruments that mean the same as ``spec``."""
    core, session = spec.core, spec.session
    week = tuple((start_ms // MINUTE_MS, end_ms // MINUTE_MS) for start_ms, end_ms in open_week(session))
    core = core._replace(
        sl_min_px=-(-core.sl_min_px // core.step_px) * core.step_px,  # levels lie on the grid only
        tp_min_px=-(-core.tp_min_px // core.step_px) * core.step_px,
    )
    if spec.quote_currency == spec.deposit_currency and core.commission_kind in PER_LOT:
        core = core._replace(commission_kind=int(CommissionKind.PER_LOT_QUOTE))
    if core.swap_long == core.swap_short == 0:
        core = core._replace(swap_kind=0, swap_time_ms=0, swap_period_ms=DAY_MS, swap_triple_weekday=0)
    return replace(spec, core=core, session=Session(session.time_zone, week, session.holidays))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs())
@example(PALM_OIL)
def test_what_an_exchange_lists_is_what_a_client_reads(spec: InstrumentSpec) -> None:
    reading = instrument_of(stated(spec), spec)
    assert reading.spec == spec  # the very same: nothing is spelled anew that meant the same
    assert {each.name for each in differences(spec, reading)} == {"spread", "slippage"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(), specs())
def test_nothing_that_was_configured_survives_but_what_no_broker_states(
    spec: InstrumentSpec, other: InstrumentSpec
) -> None:
    assumed = {name: getattr(spec.core, name) for name in ("spread_kind", "spread", "slippage", "day_start_ms")}
    configured = replace(other, core=other.core._replace(**assumed), day_start_ms=spec.day_start_ms)
    assert meaning(instrument_of(stated(spec), configured).spec) == meaning(spec)


@settings(deadline=None)
@given(SESSIONS, st.integers(0, 40_000))
def test_hours_are_open_when_the_brokers_are(session: Session, day: int) -> None:
    assume(session.intervals)
    spec = replace(PALM_OIL, session=session, time_zone=session.time_zone)
    told = instrument_of(stated(spec), replace(PALM_OIL, session=Session())).spec.session
    assert (EPOCH + timedelta(day) in told.holidays) == (EPOCH + timedelta(day) in session.holidays)
    assert all(end - start <= 1_440 for start, end in told.intervals)  # so that they can be written down
    assert open_week(told) == open_week(session)
    assert told.holidays == frozenset(date.fromisoformat(each.isoformat()) for each in session.holidays)
