"""Logging in: which account, which symbol, and what a person must mend before it can go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from tests.scripted_peer import ACCOUNT, LOGIN, SECRET, TOKEN, USD, accounts, error, full_symbol, symbols
from tests.unit.adapters.ctrader_world import CREDENTIALS, World, story

from palmbot.adapters.ctrader_login import FixedToken, KeptToken
from palmbot.adapters.tokens import TokenKeeper
from palmbot.errors import ConfigError, PalmbotError, RefusedError, RejectedError
from palmbot.model import Granted, Scope, Tokens
from palmbot.protocol.messages import pb
from palmbot.settings import Environment


def failing(
    kind: type[PalmbotError], code: str, prepare: Callable[[World], None], world: World | None = None
) -> PalmbotError:
    """Let a client fail to log in; return its failure."""
    failures: list[PalmbotError] = []

    async def tell(world: World) -> None:
        prepare(world)
        failure = await world.failure()
        assert isinstance(failure, kind)
        assert failure.code == code
        failures.append(failure)

    (World() if world is None else world).play(tell)
    return failures[0]


@pytest.mark.parametrize("wanted", [ACCOUNT, LOGIN, None])
def test_an_account_is_named_by_its_number_or_its_login_or_is_the_only_one(wanted: int | None) -> None:
    async def tell(world: World) -> None:
        if wanted is not None:
            world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts(LOGIN + 1, LOGIN)]
        await world.ready()
        assert world.peer.asked(pb.AccountAuthReq)[0].ctidTraderAccountId == ACCOUNT

    World(account=wanted).play(tell)


def test_an_account_that_the_token_does_not_open_is_named_with_those_that_it_does() -> None:
    failure = failing(ConfigError, "ACCOUNT_NOT_FOUND", lambda _: None, World(account=4_242))
    assert failure.facts == {"asked": 4_242, "opens": str(LOGIN)}


def test_several_accounts_and_no_choice_are_for_a_person_to_decide() -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts(LOGIN, LOGIN + 1)]

    assert failing(ConfigError, "ACCOUNT_AMBIGUOUS", prepare).facts["opens"] == f"{LOGIN},{LOGIN + 1}"


@pytest.mark.parametrize(("environment", "is_live"), [(Environment.DEMO, True), (Environment.LIVE, False)])
def test_an_account_of_the_other_environment_is_refused(environment: Environment, is_live: bool) -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts(LOGIN, is_live=is_live)]

    failing(RefusedError, "ACCOUNT_OF_OTHER_ENVIRONMENT", prepare, World(environment))


@story(Environment.PAPER)
async def test_in_paper_an_account_may_call_itself_what_it_likes(world: World) -> None:
    world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts(LOGIN, is_live=True)]
    await world.ready()


@story()
async def test_an_empty_list_of_accounts_is_asked_for_again(world: World) -> None:
    world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts()]
    await world.passes(5)
    world.peer.answers[pb.GetAccountListByAccessTokenReq] = lambda _: [accounts(LOGIN)]
    await world.ready()
    assert len(world.peer.connections) > 1


@story()
async def test_an_empty_list_of_symbols_is_asked_for_again(world: World) -> None:
    world.peer.answers[pb.SymbolsListReq] = lambda _: [pb.SymbolsListRes(ctidTraderAccountId=ACCOUNT)]
    await world.passes(5)
    world.peer.answers[pb.SymbolsListReq] = lambda _: [symbols()]
    await world.ready()
    assert world.told() == []  # it was never there, so it was not lost


def test_a_symbol_that_is_not_listed_is_named_with_those_that_are_spelt_alike() -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.SymbolsListReq] = lambda _: [
            pb.SymbolsListRes(
                ctidTraderAccountId=ACCOUNT,
                symbol=[
                    pb.LightSymbol(symbolId=1, symbolName="PALMOIL.cash"),
                    pb.LightSymbol(symbolId=2, symbolName="X"),
                ],
            )
        ]

    assert failing(ConfigError, "SYMBOL_NOT_FOUND", prepare).facts["near"] == "PALMOIL.cash"


def test_a_symbol_that_is_too_fine_is_refused() -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.SymbolByIdReq] = lambda _: [full_symbol(6)]

    assert failing(RefusedError, "TERMS_ABSURD", prepare).facts == {"term": "digits", "value": 6}


def test_a_symbol_that_was_retired_is_refused() -> None:
    def unknown(world: World) -> None:
        world.peer.answers[pb.SymbolByIdReq] = lambda _: [pb.SymbolByIdRes(ctidTraderAccountId=ACCOUNT)]

    def listed_as_such(world: World) -> None:
        answer = symbols()
        (number,) = (each.symbolId for each in answer.symbol if each.symbolName == "PALMOIL")
        gone = pb.ArchivedSymbol(symbolId=number, name="PALMOIL", utcLastUpdateTimestamp=77)
        answer.archivedSymbol.append(gone)
        world.peer.answers[pb.SymbolsListReq] = lambda _: [answer]

    assert failing(RefusedError, "SYMBOL_ARCHIVED", unknown).facts == {"symbol": "PALMOIL"}
    assert failing(RefusedError, "SYMBOL_ARCHIVED", listed_as_such).facts == {"symbol": "PALMOIL", "since_ms": 77}


def test_an_account_with_absurd_money_is_refused() -> None:
    def prepare(world: World) -> None:
        answer = world.peer.trader()
        answer.trader.moneyDigits = 4_000_000_000
        world.peer.answers[pb.TraderReq] = lambda _: [answer]

    failing(RefusedError, "TERMS_ABSURD", prepare)


@story(deposit_asset_id=USD)
async def test_a_chain_that_is_not_told_for_now_is_asked_for_again(world: World) -> None:
    asked = world.peer.answers[pb.SymbolsForConversionReq]
    world.peer.answers[pb.SymbolsForConversionReq] = lambda _: [error("TIMEOUT_ERROR")]
    await world.passes(3)
    world.peer.answers[pb.SymbolsForConversionReq] = asked
    await world.ready()


# -- secrets


@story()
async def test_no_secret_is_shown_by_what_holds_it(world: World) -> None:
    shown = f"{FixedToken(TOKEN)} {CREDENTIALS} {world.ctrader!r} {world.ctrader._config}"
    assert TOKEN not in shown
    assert SECRET not in shown


def test_words_of_the_broker_that_repeat_a_secret_are_told_without_it() -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.AccountAuthReq] = lambda _: [error("RET_ACCOUNT_DISABLED", f"for {TOKEN} of {SECRET}")]

    failure = failing(ConfigError, "RET_ACCOUNT_DISABLED", prepare)
    assert failure.facts["text"] == "for [hidden] of [hidden]"


def test_a_token_that_nobody_renews_ends_it() -> None:
    def prepare(world: World) -> None:
        world.peer.answers[pb.AccountAuthReq] = lambda _: [error("CH_ACCESS_TOKEN_INVALID")]

    failure = failing(ConfigError, "TOKEN_DEAD", prepare, World(tokens=FixedToken(TOKEN)))
    assert failure.facts == {"said": "CH_ACCESS_TOKEN_INVALID"}


# -- a token that somebody keeps


class Keeper:
    """A keeper of tokens, as far as a session needs one."""

    def __init__(self) -> None:
        self.renewed: list[tuple[str, str]] = []
        self.tokens: Tokens | None = Tokens(TOKEN, "r", 0, 1, Granted(Scope.TRADING, ()), ACCOUNT)

    def current(self) -> Tokens:
        if self.tokens is None:
            raise RejectedError("LOGIN_NEEDED", "A person has to log in.")
        return self.tokens

    async def renew_refused(self, refused: Tokens, code: str) -> Tokens:
        self.renewed.append((refused.access_token, code))
        return self.current()


async def test_a_kept_token_is_renewed_only_if_nobody_did_it_before() -> None:
    keeper = Keeper()
    token = KeptToken(cast("TokenKeeper", keeper))
    assert token.current() == TOKEN
    await token.refresh("an older one", "CH_ACCESS_TOKEN_INVALID")
    assert keeper.renewed == []
    await token.refresh(TOKEN, "CH_ACCESS_TOKEN_INVALID")
    assert keeper.renewed == [(TOKEN, "CH_ACCESS_TOKEN_INVALID")]


def test_a_login_that_only_a_person_can_make_ends_it() -> None:
    keeper = Keeper()
    keeper.tokens = None
    world = World(tokens=KeptToken(cast("TokenKeeper", keeper)))
    failing(RejectedError, "LOGIN_NEEDED", lambda _: None, world)
