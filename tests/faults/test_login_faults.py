"""An account that is logged out while the link stays, tokens that die, and what a person must mend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.scripted_peer import ACCOUNT, SECRET, TOKEN, PeerConnection, error, silence
from tests.unit.adapters.ctrader_world import World, entering, story

from palmbot.errors import ConfigError, HaltError, RetryError
from palmbot.model import LinkState
from palmbot.protocol.messages import Message, pb
from palmbot.units import MINUTE_MS

LOST, READY = LinkState.LOST, LinkState.READY


# -- the account's session alone


def disconnect_the_account(peer: PeerConnection) -> None:
    peer.send(pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT))


def invalidate_the_token(peer: PeerConnection) -> None:
    peer.send(
        pb.AccountsTokenInvalidatedEvent(ctidTraderAccountIds=[1, ACCOUNT], reason="Token was refreshed"),
        pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT),
    )


def refuse_by_text(peer: PeerConnection) -> None:
    peer.send(error("INVALID_REQUEST", "Trading account is not authorized"))


def refuse_by_code(peer: PeerConnection) -> None:
    peer.send(error("ACCOUNT_NOT_AUTHORIZED"))


@pytest.mark.parametrize("fault", [disconnect_the_account, invalidate_the_token, refuse_by_text, refuse_by_code])
def test_an_account_that_is_logged_out_is_logged_in_again_over_the_same_link(
    fault: Callable[[PeerConnection], None],
) -> None:
    async def tell(world: World) -> None:
        await world.listening()
        fault(world.peer.last)
        await world.passes(0.2)
        assert world.states() == [LOST]
        with pytest.raises(RetryError, match="LINK_DOWN"):
            await world.ctrader.submit(entering())
        await world.passes(3)
        assert world.states() == [READY]
        assert len(world.peer.connections) == 1
        assert len(world.peer.asked(pb.ApplicationAuthReq)) == 1
        assert len(world.peer.asked(pb.AccountAuthReq)) == 2
        assert len(world.peer.asked(pb.SubscribeSpotsReq)) == 2
        assert world.wallet.refreshes == []  # the token may be the refreshed one: refreshing again would never end

    World().play(tell)


@story()
async def test_what_befalls_other_accounts_is_not_ours(world: World) -> None:
    await world.listening()
    world.peer.last.send(
        pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT + 1),
        pb.AccountsTokenInvalidatedEvent(ctidTraderAccountIds=[ACCOUNT + 1]),
        pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT + 1),
    )
    await world.passes(3)
    assert world.told() == []
    assert world.ctrader.is_ready


@story()
async def test_an_account_is_back_when_it_is_ours_that_is_logged_in(world: World) -> None:
    await world.ready()
    world.peer.answers[pb.AccountAuthReq] = silence
    disconnect_the_account(world.peer.last)
    await world.passes(2)
    world.peer.last.send(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT + 1))
    await world.passes(1)
    assert world.states() == [LOST]
    world.peer.last.send(pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT), answering=pb.AccountAuthReq)
    await world.passes(1)
    assert world.states() == [READY]


@story()
async def test_an_answer_about_another_account_is_no_login_and_is_not_waited_on_for_ever(world: World) -> None:
    right = world.peer.answers[pb.AccountAuthReq]
    world.peer.answers[pb.AccountAuthReq] = lambda _: [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT + 1)]
    await world.passes(0.5)
    assert not world.ctrader.is_ready
    world.peer.answers[pb.AccountAuthReq] = right
    await world.passes(60)
    assert world.ctrader.is_ready


@story()
async def test_a_logout_that_trails_behind_is_undone_by_the_login_that_follows_it(world: World) -> None:
    await world.listening()
    trailing = pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)
    world.peer.answers[pb.AccountAuthReq] = lambda _: [trailing, pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT)]
    invalidate_the_token(world.peer.last)
    await world.passes(120)
    assert world.states() == [LOST, READY]
    assert len(world.peer.asked(pb.AccountAuthReq)) == 2


@story()
async def test_quotes_are_subscribed_to_again_after_a_logout_that_follows_their_subscription_at_once(
    world: World,
) -> None:
    await world.ready()
    gone = pb.AccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)
    answer = world.peer.answers[pb.SubscribeSpotsReq]
    world.peer.answers[pb.SubscribeSpotsReq] = lambda request: [*answer(request), gone]  # in one piece
    subscribing = asyncio.create_task(world.ctrader.subscribe("PALMOIL"))
    await world.passes(0.5)
    assert world.states() == [LOST]
    world.peer.answers[pb.SubscribeSpotsReq] = answer
    await world.passes(120)
    await subscribing
    assert world.states() == [READY]
    assert len(world.peer.asked(pb.SubscribeSpotsReq)) == 2


@story()
async def test_a_weekend_of_logouts_is_met_with_longer_and_longer_pauses(world: World) -> None:
    await world.ready()
    granted_ms: list[int] = []

    def granted(_: Message) -> list[Message]:
        granted_ms.append(world.clock.monotonic_ms())
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, disconnect_the_account, world.peer.last)
        return [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT)]

    world.peer.answers[pb.AccountAuthReq] = granted
    disconnect_the_account(world.peer.last)
    await world.passes(600)
    pauses = [(later - earlier) / 1_000 for earlier, later in pairwise(granted_ms)]
    assert len(world.peer.connections) == 1
    for number, pause in enumerate(pauses):
        longest = min(2 ** (number + 1), 60)
        assert max(1, longest / 2) <= pause <= longest + 0.3
    assert world.states() == [LOST, READY] * len(granted_ms) + [LOST]


# -- tokens


@story()
async def test_a_token_that_is_not_taken_is_refreshed_once_a_minute(world: World) -> None:
    taken: list[str] = []

    def judge(request: Message) -> list[Message]:
        assert isinstance(request, pb.AccountAuthReq)
        taken.append(request.accessToken)
        if request.accessToken == "the third":
            return [pb.AccountAuthRes(ctidTraderAccountId=ACCOUNT)]
        return [error("CH_ACCESS_TOKEN_INVALID")]

    world.peer.answers[pb.AccountAuthReq] = judge
    world.wallet.next = ["the second", "the third"]
    await world.ready()
    first, second = world.wallet.refreshes
    assert second - first >= MINUTE_MS
    assert taken[0] == TOKEN
    assert set(taken[1:-1]) == {"the second"}
    assert taken[-1] == "the third"
    assert len(world.peer.connections) == 1


@story()
async def test_a_refresh_that_fails_for_now_is_tried_again_and_one_that_is_refused_ends_it(world: World) -> None:
    world.peer.answers[pb.AccountAuthReq] = lambda _: [error("OA_AUTH_TOKEN_EXPIRED")]
    world.wallet.next = [RetryError("ENDPOINT_DOWN", "later"), ConfigError("TOKEN_DEAD", "Log in again.")]
    failure = await world.failure()
    assert isinstance(failure, ConfigError)
    assert failure.code == "TOKEN_DEAD"
    with pytest.raises(ConfigError, match="TOKEN_DEAD"):
        await world.ctrader.account()


@story()
async def test_the_newest_token_is_used_after_an_invalidation(world: World) -> None:
    await world.ready()
    world.wallet.token = "refreshed elsewhere"  # noqa: S105 - no secret
    invalidate_the_token(world.peer.last)
    await world.passes(5)
    assert [each.accessToken for each in world.peer.asked(pb.AccountAuthReq)] == [TOKEN, "refreshed elsewhere"]


# -- what must end it


@pytest.mark.parametrize("code", ["CH_CLIENT_AUTH_FAILURE", "CH_OA_CLIENT_NOT_FOUND"])
def test_an_application_that_is_not_known_is_for_a_person_to_mend(code: str) -> None:
    async def tell(world: World) -> None:
        world.peer.answers[pb.ApplicationAuthReq] = lambda _: [error(code, f"wrong secret {SECRET}")]
        failure = await world.failure()
        assert isinstance(failure, ConfigError)
        assert failure.code == code
        assert SECRET not in str(failure)
        assert "[hidden]" in str(failure)
        with pytest.raises(ConfigError, match=code):
            await world.ctrader.account()

    World().play(tell)


@pytest.mark.parametrize(
    "code", ["RET_NO_SUCH_LOGIN", "RET_ACCOUNT_DISABLED", "CH_CTID_TRADER_ACCOUNT_NOT_FOUND", "CHANNEL_IS_BLOCKED"]
)
def test_an_account_that_is_gone_ends_it_also_later(code: str) -> None:
    async def tell(world: World) -> None:
        await world.ready()
        world.peer.answers[pb.AccountAuthReq] = lambda _: [error(code)]
        disconnect_the_account(world.peer.last)
        failure = await world.failure()
        assert isinstance(failure, ConfigError)
        assert failure.code == code
        assert world.states() == [LOST]

    World().play(tell)


@story()
async def test_a_client_that_was_blocked_does_not_come_back(world: World) -> None:
    await world.ready()
    world.peer.last.send(pb.ClientDisconnectEvent(reason="The application was blocked by administrator"))
    failure = await world.failure()
    assert isinstance(failure, HaltError)
    assert (failure.code, failure.facts["text"]) == ("CLIENT_BLOCKED", "The application was blocked by administrator")
    assert world.states() == [LOST]
    assert len(world.peer.connections) == 1


@story()
async def test_a_channel_that_is_blocked_ends_it_though_nobody_asked(world: World) -> None:
    await world.ready()
    world.peer.last.send(error("CHANNEL_IS_BLOCKED"))
    assert isinstance(await world.failure(), HaltError)


@pytest.mark.parametrize("code", ["RET_ACCOUNT_DISABLED", "CH_OA_CLIENT_NOT_FOUND", "RET_NO_SUCH_LOGIN"])
def test_a_word_about_us_that_nobody_asked_for_is_settled_by_a_new_login(code: str) -> None:
    async def tell(world: World) -> None:
        await world.ready()
        world.peer.last.send(error(code))
        await world.passes(5)
        assert world.states() == [LOST, READY]  # it was not so, or is not any more
        world.peer.answers[pb.AccountAuthReq] = lambda _: [error(code)]
        world.peer.last.send(error(code))
        failure = await world.failure()
        assert isinstance(failure, ConfigError)
        assert failure.code == code

    World().play(tell)


@story()
async def test_a_word_about_a_symbol_that_nobody_asked_for_changes_nothing(world: World) -> None:
    await world.ready()
    world.peer.last.send(error("UNKNOWN_SYMBOL"), error("SYMBOL_NOT_FOUND"))
    await world.passes(5)
    assert world.ctrader.is_ready
    assert world.states() == []


@pytest.mark.parametrize("code", ["UNKNOWN_SYMBOL", "RET_ACCOUNT_DISABLED", "CHANNEL_IS_BLOCKED"])
def test_an_answer_to_somebody_else_locks_nobody_out(code: str) -> None:
    async def tell(world: World) -> None:
        await world.ready()
        world.peer.last.session.send(error(code), world.peer.now_ms(), "somebody-elses-7")
        world.peer.last.flush()
        await world.passes(5)
        assert world.ctrader.is_ready
        assert world.states() == []

    World().play(tell)
