from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.token_house import TokenHouse, credentials_of, token_house

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.endpoints import Endpoints
from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.token_key import GivenKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.adapters.tokens import AHEAD_MS, Standing, TokenKeeper, standing, to_the_end
from palmbot.errors import ConfigError, HaltError, OutcomeUnknownError, PalmbotError, RejectedError, RetryError
from palmbot.exchange.ca import server_context
from palmbot.exchange.faults import Fault
from palmbot.exchange.token_endpoint import Response
from palmbot.model import Renewal, Tokens
from palmbot.settings import Environment
from palmbot.units import DAY_MS, HOUR_MS, MINUTE_MS

NOBODY = Endpoints("127.0.0.1", 0, "", "http://127.0.0.1:1/apps/token")


@pytest.fixture
async def house() -> AsyncIterator[TokenHouse]:
    async with token_house() as running:
        running.register("http://127.0.0.1:25000/x")
        yield running


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenVault:
    monkeypatch.setattr("palmbot.adapters.token_seal._SCRYPT_COST", 2)  # its slowness is not what is tested here
    return TokenVault(tmp_path, "demo", TokenSeal("demo", GivenKey("key")))


@pytest.fixture
def first(house: TokenHouse, vault: TokenVault) -> Tokens:
    """Living tokens, stored."""
    tokens = house.granted()
    vault.save(tokens)
    return tokens


def keeper(house: TokenHouse, vault: TokenVault, endpoints: Endpoints | None = None) -> TokenKeeper:
    server = TokenServer(endpoints or house.endpoints, credentials_of(Environment.DEMO))
    return TokenKeeper("demo", vault, server, house.clock)


def on_disk(vault: TokenVault) -> Tokens:
    tokens = vault.load()
    assert tokens is not None
    return tokens


async def raised(work: Awaitable[object]) -> PalmbotError:
    with pytest.raises(PalmbotError) as caught:
        await work
    return caught.value


# --- when -------------------------------------------------------------------------------------------------------------


async def test_tokens_that_are_good_for_days_are_left_alone(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    house.clock.now_ms = first.expires_ms - AHEAD_MS - 1
    assert await keeper(house, vault).renew_if_due() == first
    assert house.refreshes == 0


@pytest.mark.parametrize("left_ms", [AHEAD_MS, DAY_MS, 0, -90 * DAY_MS])
async def test_they_are_renewed_days_ahead_and_also_long_after(
    house: TokenHouse, vault: TokenVault, first: Tokens, left_ms: int
) -> None:
    house.clock.now_ms = first.expires_ms - left_ms
    tokens = await keeper(house, vault).renew_if_due()
    assert (house.refreshes, tokens.renewal) == (1, Renewal.DONE)
    assert (tokens.granted_ms, tokens.expires_ms) == (house.clock.now_ms, house.clock.now_ms + 2_628_000_000)
    assert (tokens.granted, tokens.account_id) == (first.granted, first.account_id)
    assert house.grant_of(tokens.access_token) is not None
    assert house.grant_of(first.access_token) is None
    assert await keeper(house, vault).renew_if_due() == tokens == on_disk(vault)
    assert house.refreshes == 1


@pytest.mark.usefixtures("first")
async def test_a_person_may_ask_at_any_time_but_once_a_minute(house: TokenHouse, vault: TokenVault) -> None:
    await keeper(house, vault).renew()
    house.clock.now_ms += MINUTE_MS - 1_500
    error = await raised(keeper(house, vault).renew())  # another process, as far as the keeper knows
    assert isinstance(error, RetryError)
    assert (error.code, error.facts["wait_s"]) == ("REFRESH_TOO_SOON", 2)
    assert house.refreshes == 1
    house.clock.now_ms += 1_500
    await keeper(house, vault).renew()
    house.clock.now_ms -= HOUR_MS  # set back: that must not forbid it for an hour
    await keeper(house, vault).renew()
    assert house.refreshes == 3


async def test_without_tokens_a_person_has_to_log_in(house: TokenHouse, vault: TokenVault) -> None:
    error = await raised(keeper(house, vault).renew_if_due())
    assert (type(error), error.code) == (RejectedError, "LOGIN_NEEDED")
    assert error.todo == "A person has to log in: palmbot auth login --env demo."
    with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
        keeper(house, vault).current()


# --- in which order ---------------------------------------------------------------------------------------------------


async def test_what_is_asked_for_is_noted_before_and_the_new_pair_is_on_disk_before_it_is_used(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    seen: list[Tokens] = []
    house.tokens.before = lambda: seen.append(on_disk(vault))
    tokens = await keeper(house, vault).renew()
    assert seen == [replace(first, asked_ms=house.clock.now_ms, renewal=Renewal.ASKED)]
    assert on_disk(vault) == tokens


async def test_who_cancels_waits_until_the_new_pair_is_on_disk(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    house.is_holding = True
    renewing = asyncio.ensure_future(keeper(house, vault).renew())
    await house.is_asked.wait()
    for _ in range(3):
        renewing.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not renewing.done()
    assert on_disk(vault).renewal is Renewal.ASKED
    house.let_go()
    with pytest.raises(asyncio.CancelledError):
        await renewing
    assert on_disk(vault).renewal is Renewal.DONE
    assert house.grant_of(on_disk(vault).access_token) is not None
    assert house.grant_of(first.access_token) is None


@pytest.mark.usefixtures("first")
async def test_the_end_of_the_loop_waits_for_the_answer_too(house: TokenHouse, vault: TokenVault) -> None:
    house.is_holding = True
    asked, cancelled = threading.Event(), threading.Event()

    class Watched(asyncio.Task[Tokens]):
        def cancel(self, msg: object = None) -> bool:
            cancelled.set()
            return super().cancel(msg)

    async def leave() -> Watched:
        renewing = Watched(keeper(house, vault).renew(), loop=asyncio.get_running_loop())
        await asyncio.to_thread(asked.wait)
        return renewing  # the loop ends here, and cancels what still runs

    leaving = asyncio.ensure_future(asyncio.to_thread(asyncio.run, leave()))
    await house.is_asked.wait()
    asked.set()
    await asyncio.to_thread(cancelled.wait)
    assert not leaving.done()
    house.let_go()
    assert (await leaving).cancelled()
    assert on_disk(vault).renewal is Renewal.DONE


async def test_a_failure_after_cancelling_is_nobodys_surprise() -> None:
    go = threading.Event()
    surprises: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: surprises.append(context))

    def fail() -> None:
        go.wait()
        raise HaltError("FULL", "Free space.")

    failing = asyncio.ensure_future(to_the_end(fail))
    await asyncio.sleep(0)
    failing.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await failing
    del failing
    gc.collect()
    assert surprises == []


@pytest.mark.usefixtures("first")
async def test_two_at_once_ask_once(house: TokenHouse, vault: TokenVault) -> None:
    house.is_holding = True
    renewing = asyncio.ensure_future(keeper(house, vault).renew())
    await house.is_asked.wait()
    error = await raised(keeper(house, vault).renew())
    assert (type(error), error.code) == (RetryError, "TOKENS_BUSY")
    house.let_go()
    await renewing
    assert house.refreshes == 1


# --- what can go wrong ------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_cleared_up_by_asking_once_more_and_then_a_login_is_needed(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    house.faults.once(Fault.LOSE_TOKEN_REPLY)
    error = await raised(keeper(house, vault).renew())
    assert isinstance(error, OutcomeUnknownError)
    assert standing(on_disk(vault), house.clock.now_ms) is Standing.DOUBTFUL
    house.clock.now_ms += MINUTE_MS
    error = await raised(keeper(house, vault).renew_if_due())  # doubt is a reason of its own
    assert (type(error), error.code) == (RejectedError, "LOGIN_NEEDED")
    assert standing(on_disk(vault), house.clock.now_ms) is Standing.DEAD
    assert house.refreshes == 2
    for _ in range(2):
        house.clock.now_ms += 30 * DAY_MS
        assert (await raised(keeper(house, vault).renew_if_due())).code == "LOGIN_NEEDED"
        assert (
            await raised(keeper(house, vault).renew_refused(first, "CH_ACCESS_TOKEN_INVALID"))
        ).code == "LOGIN_NEEDED"
    assert house.refreshes == 2  # a machine does not knock at a closed door


async def test_a_request_that_was_not_carried_out_is_made_good_without_a_person(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    house.tokens.instead.append(Response(400, ""))
    assert (await raised(keeper(house, vault).renew())).code == "TOKEN_ANSWER_LOST"
    assert house.grant_of(on_disk(vault).access_token) is not None  # still good meanwhile
    house.clock.now_ms += MINUTE_MS
    tokens = await keeper(house, vault).renew_if_due()
    assert tokens.renewal is Renewal.DONE
    assert house.grant_of(first.access_token) is None


async def test_a_server_that_cannot_be_reached_costs_nothing(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    error = await raised(keeper(house, vault, NOBODY).renew())
    assert (type(error), error.code) == (RetryError, "TOKEN_SERVER_UNREACHABLE")
    assert on_disk(vault) == replace(first, asked_ms=house.clock.now_ms, renewal=Renewal.FAILED)
    assert standing(on_disk(vault), house.clock.now_ms) is Standing.VALID
    house.clock.now_ms += MINUTE_MS
    assert (await keeper(house, vault).renew()).renewal is Renewal.DONE


async def test_a_server_that_is_not_the_one_that_was_meant_costs_nothing_either(
    house: TokenHouse, vault: TokenVault, first: Tokens, tmp_path: Path
) -> None:
    context = server_context(tmp_path / "ca.pem", tmp_path / "server.pem", SystemClock().utc_ms())
    async with await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, ssl=context) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        strange = Endpoints("127.0.0.1", 0, "", f"https://127.0.0.1:{port}/apps/token")
        error = await raised(keeper(house, vault, strange).renew())
    assert (type(error), error.code) == (ConfigError, "CERTIFICATE_ISSUER_MISSING")
    assert on_disk(vault) == replace(first, asked_ms=house.clock.now_ms, renewal=Renewal.FAILED)


@pytest.mark.parametrize(
    ("code", "kind", "error_code", "renewal"),
    [
        ("CH_ACCESS_TOKEN_INVALID", RejectedError, "LOGIN_NEEDED", Renewal.REFUSED),
        ("OA_AUTH_TOKEN_EXPIRED", RejectedError, "LOGIN_NEEDED", Renewal.REFUSED),
        ("ACCESS_DENIED", RejectedError, "LOGIN_NEEDED", Renewal.REFUSED),
        ("CH_CLIENT_AUTH_FAILURE", RejectedError, "APPLICATION_REFUSED", Renewal.FAILED),
        ("CH_OA_CLIENT_NOT_FOUND", RejectedError, "APPLICATION_REFUSED", Renewal.FAILED),
        ("SERVER_IS_UNDER_MAINTENANCE", RetryError, "TOKEN_SERVER_BUSY", Renewal.FAILED),
        ("REQUEST_FREQUENCY_EXCEEDED", RetryError, "TOKEN_SERVER_BUSY", Renewal.FAILED),
        ("UNKNOWN_ERROR", OutcomeUnknownError, "TOKEN_ANSWER_LOST", Renewal.ASKED),
        ("A_WORD_OF_TOMORROW", OutcomeUnknownError, "TOKEN_ANSWER_LOST", Renewal.ASKED),
        ("no word at all", OutcomeUnknownError, "TOKEN_ANSWER_LOST", Renewal.ASKED),
    ],
)
@pytest.mark.usefixtures("first")
async def test_every_refusal_says_what_is_to_be_done_and_only_a_dead_token_needs_a_login(
    house: TokenHouse, vault: TokenVault, code: str, kind: type[PalmbotError], error_code: str, renewal: Renewal
) -> None:
    house.tokens.instead.append(Response(200, json.dumps({"errorCode": code, "description": "so"})))
    error = await raised(keeper(house, vault).renew())
    assert (type(error), error.code) == (kind, error_code)
    assert on_disk(vault).renewal is renewal
    assert error.exit_code == 1


async def test_a_person_may_try_dead_tokens_once_more(house: TokenHouse, vault: TokenVault, first: Tokens) -> None:
    vault.save(replace(first, renewal=Renewal.REFUSED))
    assert (await keeper(house, vault).renew()).renewal is Renewal.DONE


# --- after an account was refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["", "2147", "AccountsTokenInvalidatedEvent", "CANT_ROUTE_REQUEST", "ACCOUNT_NOT_AUTHORIZED", "NEWS"]
)
async def test_nothing_but_a_code_about_tokens_is_a_reason(
    house: TokenHouse, vault: TokenVault, first: Tokens, code: str
) -> None:
    assert await keeper(house, vault).renew_refused(first, code) == first
    assert house.refreshes == 0


@pytest.mark.parametrize("code", ["CH_ACCESS_TOKEN_INVALID", "OA_AUTH_TOKEN_EXPIRED"])
async def test_a_refused_token_is_renewed_once(house: TokenHouse, vault: TokenVault, first: Tokens, code: str) -> None:
    tokens = await keeper(house, vault).renew_refused(first, code)
    assert tokens.renewal is Renewal.DONE
    error = await raised(keeper(house, vault).renew_refused(tokens, code))
    assert error.code == "REFRESH_TOO_SOON"
    assert house.refreshes == 1


async def test_tokens_that_somebody_renewed_meanwhile_are_taken_from_disk(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    newer = await keeper(house, vault).renew()
    assert await keeper(house, vault).renew_refused(first, "CH_ACCESS_TOKEN_INVALID") == newer
    assert house.refreshes == 1


# --- for days ---------------------------------------------------------------------------------------------------------


async def test_they_are_kept_fresh_for_months_and_the_end_is_told(
    house: TokenHouse, vault: TokenVault, first: Tokens
) -> None:
    told: list[str] = []
    day_of_trouble_ms = first.granted_ms + 60 * DAY_MS
    trouble = [Response(400, "")] * 2

    def before() -> None:
        if house.clock.now_ms > day_of_trouble_ms and trouble:
            house.tokens.instead.append(trouble.pop())
        if house.clock.now_ms > day_of_trouble_ms + 30 * DAY_MS:
            house.grants.revoke(house.grants.grants[0].grant_id)

    house.tokens.before = before
    with pytest.raises(RejectedError, match="LOGIN_NEEDED"):
        await keeper(house, vault).keep(lambda error: told.append(error.code))
    assert told == ["TOKEN_ANSWER_LOST"] * 2
    assert first.granted_ms + 90 * DAY_MS < house.clock.now_ms < first.granted_ms + 130 * DAY_MS
    assert house.refreshes == 6  # one in about 25 days, and two more in the trouble


# --- words for it -----------------------------------------------------------------------------------------------------

CASES: list[tuple[Callable[[Tokens], Tokens | None], int, Standing]] = [
    (lambda _tokens: None, 0, Standing.ABSENT),
    (lambda tokens: tokens, 0, Standing.VALID),
    (lambda tokens: replace(tokens, renewal=Renewal.DONE), 20 * DAY_MS, Standing.VALID),
    (lambda tokens: tokens, 26 * DAY_MS, Standing.DUE),
    (lambda tokens: tokens, 31 * DAY_MS, Standing.EXPIRED),
    (lambda tokens: replace(tokens, renewal=Renewal.FAILED), 31 * DAY_MS, Standing.EXPIRED),
    (lambda tokens: replace(tokens, renewal=Renewal.ASKED), 31 * DAY_MS, Standing.DOUBTFUL),
    (lambda tokens: replace(tokens, renewal=Renewal.REFUSED), 0, Standing.DEAD),
]


@pytest.mark.parametrize(("change", "age_ms", "expected"), CASES)
async def test_how_it_stands_is_said_in_one_word(
    first: Tokens, change: Callable[[Tokens], Tokens | None], age_ms: int, expected: Standing
) -> None:
    assert standing(change(first), first.granted_ms + age_ms) is expected
