"""Puts an exchange together from its parts: what is listed, the books it goes on from, and a feed."""

from __future__ import annotations

from dataclasses import dataclass, field

from palmbot.exchange.books import Books
from palmbot.exchange.changes import Standing
from palmbot.exchange.conduct import Conduct
from palmbot.exchange.engine import Engine
from palmbot.exchange.feed import Feed
from palmbot.exchange.listing import Catalogue
from palmbot.exchange.prices import Prices
from palmbot.exchange.terms import Terms
from palmbot.exchange.venue import Venue
from palmbot.ports import Pacer
from palmbot.units import HOUR_MS


@dataclass(frozen=True, slots=True)
class Opening:
    """How an exchange begins. Accounts that the books have already go on as they were."""

    catalogue: Catalogue
    accounts: tuple[Standing, ...]
    conduct: Conduct = field(default_factory=Conduct)
    history_period_ms: int = HOUR_MS  # of the bars from before the feed's start


def plain_account(account_id: int, catalogue: Catalogue, balance_minor: int) -> Standing:
    """Return a hedged account with the leverage and money digits of the traded symbol."""
    core = catalogue.traded.spec.core
    terms = Terms(
        account_id=account_id,
        deposit_asset_id=catalogue.deposit_asset_id,
        login=account_id,
        money_digits=core.money_digits,
        leverage_in_cents=core.leverage * 100,
    )
    return Standing(terms, balance_minor)


def opened(opening: Opening, feed: Feed, books: Books, pacer: Pacer) -> Engine:
    """Return the exchange, standing where ``books`` left it.

    Args:
        opening: how it begins.
        feed: the market, standing where ``books.feed_state`` says.
        books: where it is kept.
        pacer: lock-step or free running.

    Raises:
        RefusedError: the books are kept for another symbol or in another currency.
        HaltError: the books cannot be written.
    """
    catalogue = opening.catalogue
    traded_id = catalogue.traded_id
    kept = books.kept(catalogue, opening.accounts)
    prices = Prices(catalogue, feed.history, opening.history_period_ms)
    for symbol_id, tick in kept.ticks:
        prices[symbol_id].restore(books.candles(symbol_id), tick)
    venue = Venue(catalogue, kept, opening.conduct, {traded_id: feed.rolls}, prices)
    return Engine(venue, feed, books, pacer)
