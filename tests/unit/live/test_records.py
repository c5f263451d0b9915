"""What the bot writes down comes back bit for bit, and the newest of it is found again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.live.stage import BALANCE, EAGER, Stage, buying, hour, through_text

from palmbot.core.live_breakers import Watch
from palmbot.core.types import Bar, Breakers, Decision, Indicators, Reason, Sentiment, State
from palmbot.live import records
from palmbot.live.feed import Mark
from palmbot.live.records import BarClosed, Kept
from palmbot.model import BrokerPosition, JournalEvent
from palmbot.orders.book import Holding

NUMBERS = st.integers(-(2**62), 2**62)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | NUMBERS
POSITIONS = st.builds(BrokerPosition, sl_px=MAYBE, tp_px=MAYBE)
KEPT = st.builds(
    Kept,
    serial=NUMBERS,
    state=st.builds(
        State,
        indicators=st.builds(Indicators, bars=NUMBERS, close=FLOATS, gain=FLOATS, loss=FLOATS, atr=FLOATS),
        breakers=st.builds(Breakers, *[NUMBERS] * len(Breakers._fields)),
    ),
    closes=st.lists(NUMBERS, max_size=4).map(tuple),
    holding=st.none() | st.builds(Holding, position=POSITIONS, risk_minor=FLOATS),
    watch=st.builds(Watch, *[NUMBERS] * len(Watch._fields)),
    pending=st.none() | st.builds(Decision, *[NUMBERS] * len(Decision._fields)),
    mark=st.none() | st.builds(Mark),
)


@given(KEPT)
def test_what_is_kept_comes_back_bit_for_bit(kept: Kept) -> None:
    assert records.kept_of(through_text(records.state(1, kept))) == kept


@given(KEPT)
def test_a_closed_bar_keeps_the_same(kept: Kept) -> None:
    assert records.kept_of(through_text(records.bar_closed(closing(kept)))) == kept


GLOOMY = Sentiment(-12.5, 77)


def closing(kept: Kept, sentiment: Sentiment = GLOOMY) -> BarClosed:
    bar = Bar(hour(0), hour(1), 4, 6, 3, 5, 2, 1, 100_000_000)
    return BarClosed(bar, buying(hour(1)), sentiment, 11, 9, kept, held=True, live=False)


def some_kept() -> Kept:
    stage = Stage()
    stage.tick(hour(0), 4_000)
    stage.trader.keep_state(hour(0))
    stage.take()
    return records.kept_of(stage.of("state")[-1])


def test_a_closed_bar_says_everything_about_itself() -> None:
    body = dict(records.bar_closed(closing(some_kept())).body)
    for name in (
        "serial",
        "state",
        "closes",
        "gaps",
        "closed_ms",
        "bars_held",
        "holding",
        "watch",
        "pending",
        "mark",
        "rsi",
    ):
        del body[name]
    assert body == {
        "ts_ms": hour(0), "end_ms": hour(1), "open_px": 4, "high_px": 6, "low_px": 3, "close_px": 5,
        "past_close_px": 2, "spread_px": 1, "rate_e8": 100_000_000, "gap_px": 0, "ahead": 0,
        "action": 1, "reason": 50, "side": 1, "volume_cu": 2_500, "sentiment": -12.5, "sentiment_known_ms": 77,
        "balance_minor": BALANCE, "equity_minor": 11, "equity_low_minor": 9, "held": True, "live": False,
    }  # fmt: skip


def test_a_sentiment_that_is_not_known_is_null() -> None:
    body = records.bar_closed(closing(some_kept(), Sentiment())).body
    assert (body["sentiment"], body["sentiment_known_ms"]) == (None, -1)


def test_small_records_are_plain() -> None:
    made = [
        records.refusal(7, 5, -1, Reason.OPEN_GAP),
        records.breaker(7, Reason.DAILY_LOSS, 9),
        records.note(7, "why"),
    ]
    assert made == [
        JournalEvent("refusal", 7, {"bar_end_ms": 5, "side": -1, "reason": 6}),
        JournalEvent("breaker", 7, {"reason": 3, "until_ms": 9, "detail": ""}),
        JournalEvent("note", 7, {"text": "why"}),
    ]
    assert [type(event.body.get("reason", 0)) for event in made] == [int] * 3


def busy() -> Stage:
    """A stage on which much has happened: trades, breakers, swaps of state."""
    stage = Stage(EAGER._replace(losses_max=2, spike_bp=50, spike_bars=2, max_bars=3))
    for number in range(30):
        low, high = 3_960 + number * 7 % 90, 4_020 + number * 13 % 70
        stage.bar(hour(number), 4_000, low, high, (low + high) / 2)
    return stage


def test_every_record_of_a_busy_run_is_plain_json_and_a_trader_takes_its_state_back() -> None:
    stage = busy()
    assert stage.trader.trades_count > 3
    keeping = [record for record in stage.records if record.kind in {"state", "bar_closed"}]
    for record in stage.records:
        assert through_text(record) == record
    assert [record.body["serial"] for record in keeping] == list(range(1, len(keeping) + 1))
    for record in keeping:
        kept = records.kept_of(through_text(record))
        restored = Stage(EAGER._replace(spike_bars=2)).trader
        restored.restore(kept)
        restored.keep_state(record.ts_ms)
        again = records.kept_of(restored.outbox[-1])
        assert again == replace(kept, serial=kept.serial + 1)


def test_a_link_that_was_lost_is_new_in_a_new_run() -> None:
    kept = replace(some_kept(), watch=Watch(manual=1, link_lost=1, rejects=2, rejects_until_ms=9))
    trader = Stage().trader
    trader.restore(kept)
    assert trader.watch == Watch(manual=1, link_lost=0, rejects=2, rejects_until_ms=9)
    assert trader.book.balance_minor == BALANCE  # the broker's to say
