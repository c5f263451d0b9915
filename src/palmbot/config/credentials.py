"""Secrets: read from the environment or ``.env`` alone, never from ``palmbot.toml``, an option or a parameters file.

Their values appear in no message; messages name the variable and the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from palmbot.config.sources import Sources, read_dotenv
from palmbot.errors import ConfigError, RefusedError
from palmbot.settings import CtraderCredentials, Environment, TokenSettings

FOLDER: Final = "tokens"
KEY: Final = "PALMBOT_TOKEN_KEY"
DATABASE: Final = "DATABASE_URL"
KEY_LENGTH_MIN: Final = 20
_POSTGRESQL: Final = ("postgres://", "postgresql://", "postgresql+")


@dataclass(frozen=True, slots=True)
class Variables:
    """What the variables of one environment are called. ``exchange`` is for trying things on this machine."""

    client_id: str
    client_secret: str
    account: str
    exchange: str


VARIABLES: Final[Mapping[Environment, Variables]] = MappingProxyType(
    {
        Environment.DEMO: Variables(
            "CTRADER_CLIENT_ID_DEMO", "CTRADER_CLIENT_SECRET_DEMO", "CTRADER_ACCOUNT_ID_DEMO", "CTRADER_EXCHANGE_DEMO"
        ),
        Environment.LIVE: Variables(
            "CTRADER_CLIENT_ID_LIVE", "CTRADER_CLIENT_SECRET_LIVE", "CTRADER_ACCOUNT_ID_LIVE", "CTRADER_EXCHANGE_LIVE"
        ),
    }
)


def refuse_paper(environment: Environment) -> None:
    """Refuse what has no account.

    Raises:
        RefusedError: ``NO_LOGIN_ON_PAPER``.
    """
    if environment not in VARIABLES:
        todo = "Paper trading needs no account: say demo or live."
        raise RefusedError("NO_LOGIN_ON_PAPER", todo, environment=environment)


def load_credentials(sources: Sources, environment: Environment) -> CtraderCredentials:
    """Return the credentials of ``environment``.

    Raises:
        RefusedError: ``NO_LOGIN_ON_PAPER``.
        ConfigError: ``CREDENTIALS_MISSING`` or ``CREDENTIALS_WRONG``; the variables are named.
    """
    refuse_paper(environment)
    names, values = VARIABLES[environment], _values(sources)
    missing = [name for name in (names.client_id, names.client_secret) if not values.get(name)]
    if missing:
        todo = "Set them in the environment or in .env; docs/connect-ctrader.md says where they come from."
        raise ConfigError("CREDENTIALS_MISSING", todo, environment=environment, missing=",".join(missing))
    for name in (names.client_id, names.client_secret):
        if not (values[name].isascii() and values[name].isprintable()) or " " in values[name]:
            raise ConfigError("CREDENTIALS_WRONG", "Copy it once more: it has no spaces.", variable=name)
    account, exchange = values.get(names.account, ""), values.get(names.exchange, "")
    if account and not (account.isascii() and account.isdecimal()):
        raise ConfigError("CREDENTIALS_WRONG", "Write the account's number, digits alone.", variable=names.account)
    return CtraderCredentials(
        environment,
        values[names.client_id],
        values[names.client_secret],
        int(account) if account else None,
        Path(exchange).expanduser() if exchange else None,
    )


def load_token_settings(sources: Sources, data_dir: Path) -> TokenSettings:
    """Return where tokens are kept and with which key.

    Raises:
        ConfigError: ``TOKEN_KEY_WEAK``.
    """
    values = _values(sources)
    key, database = values.get(KEY) or None, values.get(DATABASE, "")
    if key is not None and len(key) < KEY_LENGTH_MIN:
        todo = f"Use a random text of {KEY_LENGTH_MIN} characters or more, for instance from a password generator."
        raise ConfigError("TOKEN_KEY_WEAK", todo, variable=KEY, length=len(key))
    return TokenSettings(
        data_dir / FOLDER,
        key,
        is_key_beside=key is not None and KEY not in sources.environ,
        database_url=database if database.startswith(_POSTGRESQL) else None,
    )


def _values(sources: Sources) -> Mapping[str, str]:
    """Return every variable; the environment is stronger than ``.env``."""
    return {**read_dotenv(sources.folder / ".env"), **sources.environ}
