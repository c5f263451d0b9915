"""``palmbot auth``: log in at cTrader, see and renew the tokens, forget them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from palmbot.cli.answer import Answer
from palmbot.cli.command import command
from palmbot.cli.options import Options

if TYPE_CHECKING:
    from palmbot.bootstrap.access import Access
    from palmbot.model import Tokens
    from palmbot.settings import Environment, TokenSettings

app = typer.Typer(help="Log in at cTrader, see and renew the tokens, forget them.", rich_markup_mode=None)


@dataclass(frozen=True, kw_only=True)
class AuthOptions(Options):
    """Whose tokens."""

    env: Annotated[str | None, typer.Option(metavar="demo|live", help="Whose tokens; default demo.")] = None


@dataclass(frozen=True, kw_only=True)
class LoginOptions(AuthOptions):
    """Options of ``palmbot auth login``."""

    no_browser: Annotated[bool, typer.Option("--no-browser", help="Show the address, open no browser.")] = False
    read_only: Annotated[bool, typer.Option("--read-only", help="Ask for tokens that cannot trade.")] = False


@command(app, "login", LoginOptions)
def login(options: LoginOptions) -> Answer:
    """Allow palmbot to use an account: in a browser here, or by pasting the address that one elsewhere ended at."""
    import asyncio  # noqa: PLC0415 - keeps `palmbot --help` fast

    from palmbot.adapters.terminal import Terminal  # noqa: PLC0415 - as above
    from palmbot.model import Scope  # noqa: PLC0415 - as above

    access = _access(options)
    terminal = Terminal(sys.stderr, _typed(), has_browser=not options.no_browser)
    scope = Scope.ACCOUNTS if options.read_only else Scope.TRADING
    return _answer(access, asyncio.run(access.login.run(terminal, scope)), "Logged in.")


@command(app, "refresh", AuthOptions)
def refresh(options: AuthOptions) -> Answer:
    """Renew the tokens now. They are due days before they expire; once a minute at most."""
    import asyncio  # noqa: PLC0415 - keeps `palmbot --help` fast

    access = _access(options)
    return _answer(access, asyncio.run(access.keeper.renew()), "Renewed.")


@command(app, "logout", AuthOptions)
def logout(options: AuthOptions) -> Answer:
    """Remove the tokens from this machine."""
    from palmbot.bootstrap.token_store import store_of  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings, environment = _chosen(options)
    store = store_of(settings, environment)
    with store.locked():
        is_removed = store.clear()
    text = f"Removed the tokens for {environment}." if is_removed else f"There were no tokens for {environment}."
    text += "\nWhat was allowed ends only at cTrader: take the access back in the settings of your cTrader ID."
    return Answer({"environment": environment, "removed": is_removed}, text)


@command(app, "status", AuthOptions)
def status(options: AuthOptions) -> Answer:
    """Show age, expiry, scope and accounts of the tokens, and the redirect address to register."""
    from palmbot.adapters.clock import SystemClock  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.adapters.oauth_redirect import redirect_of  # noqa: PLC0415 - as above
    from palmbot.bootstrap.token_store import store_of  # noqa: PLC0415 - as above
    from palmbot.cli.standing import Picture  # noqa: PLC0415 - as above
    from palmbot.config.credentials import VARIABLES  # noqa: PLC0415 - as above

    settings, environment = _chosen(options)
    now_ms, redirect_uri = SystemClock().utc_ms(), redirect_of(settings.folder).uri
    shown = tuple(VARIABLES) if options.env is None else (environment,)
    pictures = [Picture.of(each, store_of(settings, each), now_ms) for each in shown]
    lines = [f"redirect address to register: {redirect_uri}", *(picture.text() for picture in pictures)]
    if settings.is_key_beside:
        lines.append("PALMBOT_TOKEN_KEY stands in .env: whoever can read that file can read the tokens.")
    body = {"redirect_uri": redirect_uri, "environments": [picture.to_json() for picture in pictures]}
    return Answer(body, "\n".join(lines), exit_code=max(picture.exit_code for picture in pictures))


def _chosen(options: AuthOptions) -> tuple[TokenSettings, Environment]:
    """Return where tokens are kept and whose are meant: those of --env, of the settings, or demo."""
    from palmbot.config import load_settings  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.config.credentials import load_token_settings, refuse_paper  # noqa: PLC0415 - as above
    from palmbot.settings import Environment  # noqa: PLC0415 - as above

    sources = options.sources()
    settings = load_settings(sources)
    environment = settings.run.environment
    if environment is Environment.PAPER and options.env is None:
        environment = Environment.DEMO
    refuse_paper(environment)
    return load_token_settings(sources, settings.data_dir), environment


def _access(options: AuthOptions) -> Access:
    from palmbot.bootstrap.access import access_of  # noqa: PLC0415 - keeps `palmbot --help` fast

    settings, environment = _chosen(options)
    return access_of(options.sources(), environment, settings)


def _answer(access: Access, tokens: Tokens, done: str) -> Answer:
    from palmbot.adapters.clock import SystemClock  # noqa: PLC0415 - keeps `palmbot --help` fast
    from palmbot.cli.standing import Picture  # noqa: PLC0415 - as above

    picture = Picture(access.credentials.environment, SystemClock().utc_ms(), tokens)
    return Answer(picture.to_json(), f"{done}\n{picture.text()}")


def _typed() -> int | None:
    """Return the descriptor of stdin, None where there is none."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
