"""``palmbot exchange`` as another program meets it: its own process, its ready line, signals and restarts."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.exchange_process import PALMBOT, PATIENCE_S, exchange
from tests.wire_client import WireClient

from palmbot.protocol.messages import pb

KEYS = [
    *("host", "port", "token_url", "client_id", "client_secret", "access_token", "refresh_token"),
    *("account_id", "symbol_id", "ca_file"),
]
SECRETS = ("client_secret", "access_token", "refresh_token")
BARS = "time,open,high,low,close,volume\n" + "".join(
    f"2026-01-05T{hour:02d}:00:00Z,4000,4010,3990,{4000 + hour},10\n" for hour in (3, 4, 7, 8, 9)
)


def refused(folder: Path, *words: str) -> tuple[int, str]:
    """Return exit code and code of the error of an exchange that does not start."""
    done = subprocess.run(
        [PALMBOT, "exchange", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert not done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.split(":")[0]


async def test_it_says_where_it_is_trades_and_ends_in_order(tmp_path: Path) -> None:
    with exchange(tmp_path, "--speed", "600", "--balance", "50000", "-v") as running:
        ready = running.ready
        assert list(ready) == KEYS
        assert ready["host"] == "127.0.0.1"
        client = await running.client()
        me = {"ctidTraderAccountId": ready["account_id"]}
        trader = (await client.ask(pb.TraderReq(**me))).trader
        assert (trader.balance, trader.brokerName) == (5_000_000, "palmbot-simulated")
        assert trader.traderLogin != ready["account_id"]
        await client.ask(pb.SubscribeSpotsReq(**me, symbolId=[ready["symbol_id"]], subscribeToSpotTimestamp=True))
        spot = await client.take(pb.SpotEvent, lambda spot: spot.symbolId == ready["symbol_id"])
        bars = await client.ask(pb.GetTrendbarsReq(**me, symbolId=ready["symbol_id"], period=pb.H1, count=500))
        assert len(bars.trendbar) == 500, "there is history, and the market is open"
        order = pb.NewOrderReq(
            **me,
            symbolId=ready["symbol_id"],
            orderType=pb.MARKET,
            tradeSide=pb.BUY,
            volume=25,
            relativeStopLoss=50_000_000,
        )
        await client.ask(order)
        filled = await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)
        assert filled.deal.executionTimestamp >= spot.timestamp
        code, out, err = running.end()
        await client.lost
        assert (code, out) == (0, "")
        assert "SYNTHETIC" in err
        assert "connection 1 ended: the exchange stops" in err
        assert not any(ready[name] in err for name in SECRETS)
        assert not list((tmp_path / "palmbot-data").iterdir()), "nothing is left of what was not to be kept"


async def test_a_killed_exchange_comes_back_as_the_same_broker_for_the_same_client(tmp_path: Path) -> None:
    state = tmp_path / "kept.sqlite"
    with exchange(tmp_path, "--state", str(state), "--speed", "60") as running:
        first = running.ready
        me = {"ctidTraderAccountId": first["account_id"]}
        client = await running.client()
        await client.ask(pb.SubscribeSpotsReq(**me, symbolId=[1]))
        await client.take(pb.SpotEvent, lambda spot: spot.symbolId == 1)
        await client.ask(pb.NewOrderReq(**me, symbolId=1, orderType=pb.MARKET, tradeSide=pb.BUY, volume=25))
        await client.take(pb.ExecutionEvent, lambda event: event.executionType == pb.ORDER_FILLED)
        before = await client.ask(pb.ReconcileReq(**me))
        pair = await client.ask(pb.RefreshTokenReq(refreshToken=first["refresh_token"]))
        assert refused(tmp_path, "--port", "0", "--state", str(state)) == (3, "BOOKS_IN_USE")
        running.end(signal.SIGKILL)
        await client.lost
    assert kept(tmp_path) >= {(f"kept.sqlite{end}", 0o600) for end in ("", ".ca.pem", ".server.pem", ".grants.json")}
    assert {mode for _, mode in kept(tmp_path)} == {0o600}
    with exchange(tmp_path, "--state", str(state)) as running:
        again = running.ready
        same = set(KEYS) - {"port", "token_url", "access_token", "refresh_token"}
        assert {name: again[name] for name in same} == {name: first[name] for name in same}
        assert (again["access_token"], again["refresh_token"]) == (pair.accessToken, pair.refreshToken)
        client = await running.client()
        after = await client.ask(pb.ReconcileReq(**me))
        assert [each.positionId for each in after.position] == [each.positionId for each in before.position]
        assert len((await client.ask(pb.DealListReq(**me))).deal) == 1
        assert running.end()[0] == 0
        await client.lost
    damage(tmp_path / "kept.sqlite.grants.json")
    assert refused(tmp_path, "--port", "0", "--state", str(state)) == (2, "GRANTS_UNREADABLE")


def kept(folder: Path) -> set[tuple[str, int]]:
    """Return what an exchange keeps, and who may read it."""
    return {(each.name, each.stat().st_mode & 0o777) for each in folder.glob("kept*")}


def damage(path: Path) -> None:
    path.write_text('{"last_id": 1}')


async def test_a_login_in_a_browser_ends_in_tokens_that_work(tmp_path: Path) -> None:
    with exchange(tmp_path, "--json") as running:
        ready, back = running.ready, "http://localhost:7777/secret-path"
        base = ready["token_url"].removesuffix("/apps/token")
        asked = {"client_id": ready["client_id"], "redirect_uri": back, "scope": "accounts", "product": "web"}
        head, _ = await running.get(f"{base}/my/settings/openapi/grantingaccess/?{urlencode(asked)}")
        (location,) = (line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Location: "))
        assert location.startswith(f"{back}?code=")
        query = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(location).query)["code"][0],
            "redirect_uri": back,
            "client_id": ready["client_id"],
            "client_secret": ready["client_secret"],
        }
        _, body = await running.get(f"{ready['token_url']}?{urlencode(query)}")
        pair = json.loads(body)
        client = await WireClient.dial(ready["port"], Path(ready["ca_file"]))
        await client.log_in(ready["client_id"], ready["client_secret"])
        listed = await client.ask(pb.GetAccountListByAccessTokenReq(accessToken=pair["accessToken"]))
        assert (listed.permissionScope, len(listed.ctidTraderAccount)) == (pb.SCOPE_VIEW, 1)
        elsewhere = {**asked, "redirect_uri": "http://example.org/"}
        head, _ = await running.get(f"{base}/my/settings/openapi/grantingaccess/?{urlencode(elsewhere)}")
        assert head.startswith("HTTP/1.1 400 ")
        await client.close()
        assert running.end(signal.SIGINT) == (0, "", ""), "with --json there is the one line and nothing else"


async def test_a_file_of_bars_is_its_market_and_after_its_end_it_still_answers(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(BARS, "utf-8")
    with exchange(tmp_path, "--data", "bars.csv", "--speed", "1000000", "--set", "data.period=1h") as running:
        me = {"ctidTraderAccountId": running.ready["account_id"]}
        client = await running.client()
        await client.ask(pb.SubscribeSpotsReq(**me, symbolId=[1], subscribeToSpotTimestamp=True))
        last_ms = 1_767_603_600_000 + 3 * 15_000  # the fourth tick of the bar at 9:00
        await client.take(pb.SpotEvent, lambda spot: spot.timestamp == last_ms)
        bars = await client.ask(pb.GetTrendbarsReq(**me, symbolId=1, period=pb.H1, count=10))
        assert [each.low for each in bars.trendbar] == [399_000_000] * 5
        assert isinstance(await client.ask(pb.ReconcileReq(**me)), pb.ReconcileRes)
        assert running.end()[0] == 0
        await client.lost


def test_a_port_that_is_taken_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused(tmp_path, "--port", str(port)) == (2, "PORT_TAKEN")
    assert not list((tmp_path / "palmbot-data").iterdir())


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--speed", "max"], 2, "SPEED_UNBOUNDED"),
        (["--speed", "fast"], 2, "BAD_NUMBER"),
        (["--port", "70000"], 2, "OUT_OF_RANGE"),
        (["--data", "nowhere.csv"], 2, "FILE_NOT_FOUND"),
        (["--state", "nowhere/kept"], 2, "NO_SUCH_FOLDER"),
        (["--state", "broken"], 2, "BOOKS_UNREADABLE"),
        (["--balance", "-1"], 2, "OUT_OF_RANGE"),
    ],
)
def test_what_cannot_start_says_why_in_one_error(tmp_path: Path, words: list[str], code: int, error: str) -> None:
    (tmp_path / "broken").write_text("this is no database, and long enough to look like one" * 20)
    port = [] if "--port" in words else ["--port", "0"]
    assert refused(tmp_path, *port, *words) == (code, error)
