"""Wires what a real account needs: its credentials, the store of its tokens, their keeper, and a login."""

from __future__ import annotations

from dataclasses import dataclass

from palmbot.adapters.account_list import AccountList
from palmbot.adapters.clock import SystemClock
from palmbot.adapters.endpoints import Endpoints, endpoints_of
from palmbot.adapters.oauth import TokenServer
from palmbot.adapters.oauth_login import Login
from palmbot.adapters.oauth_redirect import redirect_of
from palmbot.adapters.tokens import TokenKeeper
from palmbot.bootstrap.token_store import store_of
from palmbot.config import Sources
from palmbot.config.credentials import load_credentials
from palmbot.ports import TokenStore
from palmbot.settings import CtraderCredentials, Environment, TokenSettings


@dataclass(frozen=True, slots=True)
class Access:
    """The way to the accounts of one environment."""

    credentials: CtraderCredentials
    endpoints: Endpoints
    store: TokenStore
    keeper: TokenKeeper
    login: Login


def access_of(sources: Sources, environment: Environment, settings: TokenSettings) -> Access:
    """Return the way to the accounts of ``environment``. Nothing is asked and nothing is opened yet.

    Raises:
        ConfigError: credentials are missing or wrong.
        RefusedError: paper has no accounts; or what stands in for cTrader is on another machine.
    """
    clock = SystemClock()
    credentials = load_credentials(sources, environment)
    endpoints = endpoints_of(environment, credentials.exchange_file)
    store = store_of(settings, environment)
    keeper = TokenKeeper(environment, store, TokenServer(endpoints, credentials), clock)
    accounts = AccountList(endpoints, credentials, clock)
    login = Login(credentials, endpoints, redirect_of(settings.folder), store, accounts, clock)
    return Access(credentials, endpoints, store, keeper, login)
