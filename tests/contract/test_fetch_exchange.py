"""Fetching from a whole exchange over TLS: everything, once, whatever happens on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.exchange_house import BID, START_MS, House, Plan, house_in

from palmbot.adapters.ctrader_download import window_ms
from palmbot.adapters.ctrader_history import PARTS, Part
from palmbot.adapters.ctrader_login import FixedToken
from palmbot.adapters.endpoints import Endpoints
from palmbot.bootstrap.courier import Patience, Way
from palmbot.bootstrap.fetch import FetchRequest, fetch
from palmbot.bootstrap.fetch_output import Output
from palmbot.errors import DataError, PalmbotError, RefusedError, RejectedError, RetryError
from palmbot.exchange import prices
from palmbot.exchange.faults import Fault, Maintenance
from palmbot.exchange.knobs import Knobs
from palmbot.exchange.periods import SPANS, Period
from palmbot.exchange.prices import BarsPage, Query
from palmbot.exchange.values import Refused
from palmbot.instruments import PALM_OIL
from palmbot.model import HistoryBar
from palmbot.protocol.messages import pb
from palmbot.research.archive import Archive
from palmbot.research.data import list_imported, load
from palmbot.research.store import read_series
from palmbot.settings import CtraderCredentials, DataSettings, Environment
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

HOURS = 13_000  # before the market's start: three windows
TICKS = 3_000
PATIENCE = Patience(tries=3, pause_s=0.01)


def past(hours: int = HOURS) -> list[HistoryBar]:
    bars = []
    for number in range(hours):
        open_px = BID + 1_000 * (number % 97)
        ts_ms = START_MS - (hours - number) * HOUR_MS
        bars.append(HistoryBar(ts_ms, open_px, open_px + 5_000, open_px - 3_000, open_px + 1_000))
    return bars


@dataclass
class Fetching:
    """A house, and whoever fetches from it."""

    house: House
    folder: Path
    windows: list[tuple[int, int]] = field(default_factory=list)  # of bars, that the server was asked for
    asked: set[int] = field(default_factory=set)  # payload types of everything
    told: list[str] = field(default_factory=list)
    on_bars: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        traded = self.house.server.desk.prices[self.house.ready.symbol_id]
        serve = traded.trendbars

        def watched(period: Period, query: Query) -> BarsPage | Refused:
            if query.count is None:
                assert query.from_ms is not None
                assert query.to_ms is not None
                self.windows.append((query.from_ms, query.to_ms))
                self.on_bars()
            return serve(period, query)

        traded.trendbars = watched  # type: ignore[method-assign]
        refusal = self.house.faults.refusal

        def noted(payload_type: int) -> Refused | None:
            self.asked.add(payload_type)
            return refusal(payload_type)

        self.house.faults.refusal = noted  # type: ignore[method-assign]

    def way(self) -> Way:
        ready = self.house.ready
        ends = Endpoints(ready.host, ready.port, "", "", Path(ready.ca_file))
        whom = CtraderCredentials(Environment.PAPER, ready.client_id, ready.client_secret, 1)
        return Way(whom, ends, FixedToken(ready.access_token), None, is_simulated=True)

    async def fetch(
        self, period_ms: int | None = HOUR_MS, from_ms: int | None = None, to_ms: int | None = None
    ) -> Output:
        """Fetch; return what it says. ``windows`` are of this fetch alone."""
        self.windows.clear()
        request = FetchRequest(self.house.engine.venue.catalogue.traded.spec, period_ms, from_ms, to_ms, self.folder)
        return await fetch(request, self.way(), lambda _stage, _share: None, self.told.append, PATIENCE)


@asynccontextmanager
async def fetching(folder: Path, plan: Plan | None = None) -> AsyncIterator[Fetching]:
    async with house_in(folder, plan or Plan(history=past())) as house:
        house.tick(after_ms=0)
        yield Fetching(house, folder / "data")


async def test_all_bars_come_once_and_a_second_fetch_asks_for_what_is_new_alone(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        output = await at.fetch(from_ms=START_MS - (HOURS + 5) * HOUR_MS)
        bars = read_series(output.path).bars
        assert [tuple(map(int, bar)) for bar in zip(*bars[:1], *bars[2:6], strict=True)] == [
            (each.ts_ms, each.open_px, each.high_px, each.low_px, each.close_px) for each in past()
        ]
        assert (output.new_rows, len(at.windows)) == (HOURS, 3)
        assert output.written.complete.gaps == ()

        again = await at.fetch(from_ms=START_MS - (HOURS + 5) * HOUR_MS)
        assert at.windows == [(START_MS - 2 * HOUR_MS, START_MS - 1)]  # the newest bar, and one before to compare
        assert again.new_rows == 0
        assert again.path.read_bytes() == output.path.read_bytes()

        at.house.tick(after_ms=HOUR_MS // 2)
        at.house.tick(after_ms=HOUR_MS)
        assert (await at.fetch()).new_rows == 1  # the hour that is over, not the one that goes on
        at.house.tick(after_ms=5 * MINUTE_MS)
        await at.fetch(from_ms=past()[0].ts_ms, to_ms=START_MS - DAY_MS)
        assert at.windows == []


async def test_a_file_holds_what_was_asked_for_of_what_is_there(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        early, late = START_MS - 5_000 * HOUR_MS, START_MS - 100 * HOUR_MS
        await at.fetch(from_ms=early)
        assert (await at.fetch(from_ms=late)).written.first_ms == late
        assert at.windows[0][0] >= START_MS - 2 * HOUR_MS
        part = await at.fetch(from_ms=early, to_ms=late)
        assert (part.written.first_ms, part.written.last_ms) == (early, late - HOUR_MS)


async def test_a_file_begins_where_all_that_joins_on_does(tmp_path: Path) -> None:
    long_ago = past(18_000)  # more than two years
    async with fetching(tmp_path, Plan(history=long_ago)) as at:
        assert (await at.fetch()).written.first_ms == START_MS - 731 * DAY_MS
        await at.fetch(from_ms=long_ago[0].ts_ms)
        assert (await at.fetch()).written.first_ms == long_ago[0].ts_ms


async def test_nothing_but_questions_goes_over_the_wire(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(10))) as at:
        at.house.tick(after_ms=2 * MINUTE_MS)
        await at.fetch()
        await at.fetch(None, from_ms=START_MS)
        assert {pb.GET_TRENDBARS_REQ, pb.GET_TICK_DATA_REQ} <= at.asked
        assert not at.asked & {pb.NEW_ORDER_REQ, pb.CANCEL_ORDER_REQ, pb.AMEND_ORDER_REQ, pb.CLOSE_POSITION_REQ}
        assert not at.asked & {pb.AMEND_POSITION_SLTP_REQ, pb.SUBSCRIBE_SPOTS_REQ}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"M{part.minutes}")
def test_no_window_is_wider_than_the_exchange_allows(part: Part) -> None:
    span = SPANS[Period(part.number)]
    assert span.length_ms == part.period_ms
    assert window_ms(part) + part.period_ms <= span.window_max_ms


async def test_days_and_four_hours_cost_no_question_where_hours_are_there(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        hours = read_series((await at.fetch()).path).bars
        days = await at.fetch(DAY_MS)
        assert at.windows == []
        bars, day_start_ms = read_series(days.path).bars, PALM_OIL.core.day_start_ms
        inside = (hours.ts_ms >= bars.ts_ms[5]) & (hours.ts_ms < bars.end_ms[5])
        assert (int(bars.ts_ms[5]) - day_start_ms) % DAY_MS == 0
        assert int(bars.high_px[5]) == int(hours.high_px[inside].max())
        assert int(bars.open_px[5]) == int(hours.open_px[inside][0])
        assert int(bars.close_px[5]) == int(hours.close_px[inside][-1])
        assert int(pl.read_parquet(days.path)["volume"][5]) == 24 * 4


async def a_day_of_ticks(at: Fetching) -> None:
    for number in range(TICKS - 1):
        at.house.tick(BID + 1_000 * (number * 7919 % 211), after_ms=37_000 if number % 5 else 0)
    at.house.tick(after_ms=2 * HOUR_MS)


async def test_hours_are_equal_to_those_made_of_minutes(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(5))) as at:
        await a_day_of_ticks(at)
        hours = read_series((await at.fetch(from_ms=START_MS + HOUR_MS)).path).bars
        minutes = read_series((await at.fetch(MINUTE_MS, from_ms=START_MS + HOUR_MS)).path).bars
        end_ms = minutes.ts_ms // HOUR_MS * HOUR_MS + HOUR_MS
        made = (
            pl.DataFrame({"end": end_ms, **{name: getattr(minutes, name) for name in minutes._fields[2:6]}})
            .group_by("end", maintain_order=True)
            .agg(pl.first("open_px"), pl.max("high_px"), pl.min("low_px"), pl.last("close_px"))
        )
        assert len(made) > 20
        assert made["end"].to_list() == hours.end_ms.tolist()
        for name in minutes._fields[2:6]:
            assert made[name].to_list() == getattr(hours, name).tolist()


async def test_ticks_make_up_the_broker_s_own_minutes(tmp_path: Path) -> None:
    plan = Plan(knobs=Knobs(per_second=None, page_ticks=797, page_bars=597), history=past(5))
    async with fetching(tmp_path, plan) as at:
        await a_day_of_ticks(at)
        output = await at.fetch(None, from_ms=START_MS)
        ticks = pl.read_parquet(output.path)
        assert len(ticks) == output.written.rows == TICKS
        minutes = (await at.fetch(MINUTE_MS, from_ms=START_MS)).path
        bars = read_series(minutes).bars
        made = ticks.group_by(pl.col("ts_ms") // MINUTE_MS * MINUTE_MS, maintain_order=True).agg(
            pl.first("bid_px").alias("open_px"),
            pl.max("bid_px").alias("high_px"),
            pl.min("bid_px").alias("low_px"),
            pl.last("bid_px").alias("close_px"),
            pl.len().alias("volume"),
        )
        assert made["ts_ms"].to_list() == bars.ts_ms.tolist()
        for name in ("open_px", "high_px", "low_px", "close_px"):
            assert made[name].to_list() == getattr(bars, name).tolist()
        assert made["volume"].to_list() == pl.read_parquet(minutes)["volume"].to_list()
        assert (ticks["ask_px"] - ticks["bid_px"]).unique().to_list() == [200_000]

        listed = {each.path: each for each in list_imported(at.folder)}
        assert (listed[output.path].ticks, listed[output.path].symbol) == (TICKS, "PALMOIL")
        with pytest.raises(DataError, match="DATA_IS_TICKS"):
            load(DataSettings(file=output.path), PALM_OIL)


async def test_what_lies_outside_the_session_is_left_out_and_said(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(200), spec=PALM_OIL)) as at:
        output = await at.fetch()
        loaded = load(DataSettings(file=output.path), PALM_OIL)
        assert loaded.spec == PALM_OIL  # as the broker states it
        assert loaded.synthetic
        assert output.written.outside_session == 200 - output.written.rows > 100
        assert output.written.complete.missing_days == 0


async def test_a_hole_in_the_broker_s_history_is_named_and_not_asked_for_again(tmp_path: Path) -> None:
    whole = past(500)
    async with fetching(tmp_path, Plan(history=[*whole[:100], *whole[150:]])) as at:
        output = await at.fetch(from_ms=whole[0].ts_ms)
        (gap,) = output.written.complete.gaps
        assert (gap.from_ms, gap.to_ms, gap.bars) == (whole[100].ts_ms, whole[150].ts_ms, 50)
        await at.fetch(from_ms=whole[0].ts_ms, to_ms=whole[400].ts_ms)
        assert at.windows == []


# -- what goes wrong


async def test_a_link_that_is_cut_costs_nothing_but_a_wait(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:

        def cut() -> None:
            if len(at.windows) == 2:
                for connection in list(at.house.server.connections.values()):
                    connection.cut("the cable")

        at.on_bars = cut
        output = await at.fetch(from_ms=past()[0].ts_ms)
        assert output.written.rows == HOURS
        assert len(at.windows) == 4  # the second one twice
        assert [line for line in at.told if "asking again" in line]


async def test_a_session_that_ends_is_begun_again(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        at.on_bars = lambda: at.house.server.drop_accounts() if len(at.windows) == 2 else None
        assert (await at.fetch(from_ms=past()[0].ts_ms)).written.rows == HOURS


async def test_a_server_that_goes_away_loses_nothing_that_was_fetched(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:

        def leave() -> None:
            if len(at.windows) == 2:
                at.house.faults.maintenance = Maintenance(end_ms=START_MS)
                at.house.server.drop_accounts()

        at.on_bars = leave
        with pytest.raises(RetryError, match="SERVER_IS_UNDER_MAINTENANCE") as failure:
            await at.fetch(from_ms=past()[0].ts_ms)
        assert "run the same command again" in str(failure.value)
        at.house.faults.maintenance, at.on_bars = None, lambda: None
        output = await at.fetch(from_ms=past()[0].ts_ms)
        assert output.written.rows == HOURS
        assert len(at.windows) <= 2


async def test_a_quota_is_waited_for_and_said(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(10))) as at:
        at.house.faults.refuse("BLOCKED_PAYLOAD_TYPE", pb.GET_TRENDBARS_REQ)
        assert (await at.fetch()).written.rows == 10
        assert [line for line in at.told if "quota" in line] == [
            "The broker's quota of history is used up; asking again in 1 s."
        ]


async def test_the_published_quota_is_kept(tmp_path: Path) -> None:
    plan = Plan(knobs=Knobs(), history=past(5))
    async with fetching(tmp_path, plan) as at:
        at.house.tick(after_ms=2 * MINUTE_MS)
        await at.fetch(MINUTE_MS, from_ms=START_MS - 70 * DAY_MS)
        assert len(at.windows) > 10
        assert at.told == []


async def test_strange_bytes_change_nothing(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        for fault in (Fault.FRAGMENT_WRITES, Fault.EXTRA_FIELDS, Fault.UNKNOWN_PAYLOAD):
            at.house.faults.always(fault, 0.5)
        output = await at.fetch(from_ms=past()[0].ts_ms)
        assert read_series(output.path).bars.close_px.tolist() == [bar.close_px for bar in past()]


async def test_a_question_that_the_broker_does_not_take_is_not_repeated(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        at.house.faults.refuse("INCORRECT_BOUNDARIES", pb.GET_TRENDBARS_REQ)
        with pytest.raises(RetryError, match="INCORRECT_BOUNDARIES"):
            await at.fetch()
        assert at.told == []


async def test_a_history_that_changed_is_not_mixed_with_the_old_one(tmp_path: Path) -> None:
    async with fetching(tmp_path) as at:
        first = await at.fetch(to_ms=START_MS - 10 * HOUR_MS)
        kept = first.path.read_bytes()
    other = [replace(bar, high_px=bar.high_px + 1_000) for bar in past()]
    async with fetching(tmp_path, Plan(history=other)) as at:
        with pytest.raises(DataError, match="HISTORY_CHANGED"):
            await at.fetch()
        assert first.path.read_bytes() == kept


async def test_a_volume_that_was_counted_later_is_no_other_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fetching(tmp_path, Plan(history=past(50))) as at:
        await at.fetch(to_ms=START_MS - 10 * HOUR_MS)
    monkeypatch.setattr(prices, "BEFORE_TICKS", 5)
    async with fetching(tmp_path, Plan(history=past(50))) as at:
        assert (await at.fetch()).written.rows == 50


async def test_minutes_are_asked_for_again_until_they_are_old(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(5))) as at:
        for _ in range(20):
            at.house.tick(after_ms=MINUTE_MS)
        first = await at.fetch(MINUTE_MS, from_ms=START_MS)
        assert first.written.rows == 20
        again = await at.fetch(MINUTE_MS, from_ms=START_MS)
        assert at.windows == [(START_MS + 14 * MINUTE_MS, START_MS + 20 * MINUTE_MS - 1)]
        assert (again.new_rows, again.written.rows) == (0, 20)


async def test_nothing_at_all_is_one_error(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(5))) as at:
        with pytest.raises(RejectedError, match="NO_HISTORY"):
            await at.fetch(from_ms=START_MS - 900 * DAY_MS, to_ms=START_MS - 800 * DAY_MS)
        with pytest.raises(PalmbotError, match="NOTHING_ASKED"):
            await at.fetch(from_ms=START_MS)


async def test_two_at_once_are_refused(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(5))) as at:
        await at.fetch()
        (archive,) = at.folder.glob("*.parts")

        with Archive(archive, ("ts_ms",), 1).locked(), pytest.raises(RefusedError, match="DATA_IN_USE"):
            await at.fetch()


async def test_volume_changes_no_fingerprint(tmp_path: Path) -> None:
    async with fetching(tmp_path, Plan(history=past(50))) as at:
        path = (await at.fetch()).path
        bars = read_series(path).bars
        assert pl.read_parquet(path).columns == [
            "ts_ms",
            "end_ms",
            "open_px",
            "high_px",
            "low_px",
            "close_px",
            "volume",
        ]
        assert np.array_equal(bars.ts_ms, np.array([each.ts_ms for each in past(50)]))
        (listed,) = list_imported(at.folder)
        assert listed.fingerprint == read_series(path).fingerprint
