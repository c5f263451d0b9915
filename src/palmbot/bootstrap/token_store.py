"""Where the tokens of an account are kept. Apart from ``access``, so that who only reads them pays for no client."""

from __future__ import annotations

from palmbot.adapters.token_key import GivenKey, KeyringKey
from palmbot.adapters.token_seal import TokenSeal
from palmbot.adapters.token_vault import TokenVault
from palmbot.ports import TokenStore
from palmbot.settings import Environment, TokenSettings


def store_of(settings: TokenSettings, environment: Environment) -> TokenStore:
    """Return where the tokens of ``environment`` are."""
    seal = TokenSeal(environment, KeyringKey() if settings.key is None else GivenKey(settings.key))
    if settings.database_url is None:
        return TokenVault(settings.folder, environment, seal)
    from palmbot.adapters.token_table import TokenTable  # noqa: PLC0415 - its driver is an extra

    return TokenTable(settings.database_url, environment, seal)
