"""Looks at this machine: settings, credentials, tokens, disk, database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from palmbot.diagnose.check import Found, wrong
from palmbot.model import Renewal, Scope, Tokens
from palmbot.settings import CtraderCredentials, Settings
from palmbot.units import DAY_MS, HOUR_MS

FREE_MIN_BYTES = 200 * 10**6  # a journal grows by a few MB a day
RENEWED_AHEAD_MS = 5 * DAY_MS
_MB = 10**6


async def look_at_settings(read: Callable[[], Settings]) -> Found[Settings]:
    """Say what is set, as far as the other lines depend on it."""
    settings = read()
    detail = f"symbol {settings.instrument.symbol}, profile {settings.profile}, data_dir {settings.data_dir}"
    return Found(settings, detail)


async def look_at_credentials(read: Callable[[], CtraderCredentials]) -> Found[CtraderCredentials]:
    """Say whose application is used, and for which account."""
    credentials = read()
    account = "no account chosen yet" if credentials.account is None else f"account {credentials.account}"
    return Found(credentials, f"client id {credentials.client_id}, {account}")


async def look_at_disk(try_folder: Callable[[Path], int], settings: Settings) -> Found[int]:
    """Say whether ``data_dir`` takes what is written."""
    free = try_folder(settings.data_dir)
    if free < FREE_MIN_BYTES:
        todo = "Free space: without it the journal cannot be written, and then nothing is traded."
        raise wrong("DISK_ALMOST_FULL", todo, free_mb=free // _MB, needed_mb=FREE_MIN_BYTES // _MB)
    return Found(free, f"{settings.data_dir} is writable, {free // _MB:,} MB are free")


async def look_at_database(read_schema: Callable[[Path], tuple[str | None, str]], settings: Settings) -> Found[str]:
    """Say whether the journal opens and is of this version; an older one is migrated by the next start."""
    journal = settings.data_dir / "journal.sqlite"
    schema, known = read_schema(journal)
    if schema is None:
        return Found(known, f"{journal} is made by the first run")
    if schema > known:
        todo = "A newer palmbot wrote this journal: run that version, or set another data_dir."
        raise wrong("JOURNAL_TOO_NEW", todo, journal=journal, schema=schema, known=known)
    note = "" if schema == known else f", migrated to {known} by the next start"
    return Found(schema, f"{journal} opens, schema {schema}{note}")


async def look_at_tokens(
    environment: str, load: Callable[[], Awaitable[Tokens | None]], now_ms: Callable[[], int]
) -> Found[str]:
    """Say how old the tokens are, how long they last and what they permit; give the access token."""
    tokens, utc_ms = await load(), now_ms()
    log_in, refresh = (f"palmbot auth {verb} --env {environment}" for verb in ("login", "refresh"))
    if tokens is None:
        raise wrong("NO_TOKENS", f"Log in: {log_in}.", environment=environment)
    left_ms = tokens.expires_ms - utc_ms
    facts = {"age": _days(utc_ms - tokens.granted_ms), "left": _days(left_ms), "permit": tokens.granted.scope}
    if tokens.renewal is Renewal.REFUSED:
        raise wrong("TOKENS_DEAD", f"Log in again: {log_in}.", **facts)
    if left_ms <= 0:
        raise wrong("TOKENS_EXPIRED", f"Renew them: {refresh}; if that is refused, {log_in}.", **facts)
    if tokens.renewal is Renewal.ASKED:
        todo = f"Nobody knows whether a new pair was given. Clear it up: {refresh}; if that is refused, {log_in}."
        raise wrong("TOKENS_DOUBTFUL", todo, **facts)
    todo = ""
    if tokens.granted.scope is Scope.ACCOUNTS:
        todo = f"They permit reading only, which is enough for a dry run; to trade, {log_in}."
    elif left_ms < RENEWED_AHEAD_MS:
        todo = f"They are renewed by themselves while something runs; or now: {refresh}."
    detail = f"{facts['age']} old, good for {facts['left']}, permit {facts['permit']}, account {tokens.account_id}"
    return Found(tokens.access_token, detail, todo)


def _days(span_ms: int) -> str:
    """Return a span of time in days and hours."""
    days, rest_ms = divmod(max(span_ms, 0), DAY_MS)
    return f"{days} d {rest_ms // HOUR_MS} h"
