"""The order of the looks: this machine first, then who answers, then what the broker says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from palmbot.diagnose import account, home, server
from palmbot.diagnose.account import Compare
from palmbot.diagnose.check import Examination, Found, Look
from palmbot.diagnose.server import Line, Network, Server
from palmbot.ports import Clock
from palmbot.settings import CtraderCredentials, Settings

STOOD_IN = "not asked: an exchange on this machine stands in for cTrader"


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at, as functions that raise what is wrong.

    On paper credentials and token come with the server; one that ``is_built_in`` is made of the settings. ``other`` is
    the server of the other environment.
    """

    settings: Callable[[], Settings]
    server: Callable[..., Awaitable[Found[Server]]]
    is_paper: bool
    is_built_in: bool
    other: Server | None
    credentials: Callable[[], CtraderCredentials]
    access_token: Callable[[], Awaitable[Found[str]]]
    try_folder: Callable[[Path], int]
    read_schema: Callable[[Path], tuple[str | None, str]]
    compare: Compare
    network: Network
    clock: Clock


async def examine(patient: Patient, exam: Examination) -> None:
    """Look at everything, one line each, in the order in which one depends on the other."""
    settings = await exam.look("configuration", partial(home.look_at_settings, patient.settings))
    await exam.look("disk", partial(home.look_at_disk, patient.try_folder), settings)
    await exam.look("database", partial(home.look_at_database, patient.read_schema), settings)
    where = await exam.look("server", patient.server, *((settings,) if patient.is_built_in else ()))
    whence = (where,) if patient.is_paper else ()
    credentials = await exam.look("credentials", lambda *_: home.look_at_credentials(patient.credentials), *whence)
    if credentials.found is not None:
        exam.hide(credentials.value.client_secret)
    token = await exam.look("token", lambda _: patient.access_token(), where if patient.is_paper else settings)
    if token.found is not None:
        exam.hide(token.value)
    async with AsyncExitStack() as stack:
        line = await _look_at_server(patient, exam, stack, (where, credentials))
        await _look_at_account(exam, line, (credentials, token, settings), patient.compare)


async def _look_at_server(
    patient: Patient, exam: Examination, stack: AsyncExitStack, known: tuple[Look[Server], Look[CtraderCredentials]]
) -> Look[Line]:
    network, clock, (where, credentials) = patient.network, patient.clock, known
    addresses = await exam.look("name resolution", partial(server.look_up, network), where)
    way = await exam.look("connection", partial(server.look_at_connection, network), where, addresses)
    hands = await exam.look("TLS handshake", partial(server.look_at_handshake, network), way)
    await exam.look("TLS version", server.look_at_version, hands)
    await exam.look("TLS cipher", server.look_at_cipher, hands)
    await exam.look("certificate chain", server.look_at_chain, hands)
    await exam.look("certificate expiry", partial(server.look_at_expiry, clock.utc_ms), hands)
    line = await exam.look("round trip", partial(server.look_at_round_trip, network, stack, clock), way, hands)
    if patient.other is None:
        exam.leave("clock", STOOD_IN)
        exam.leave("demo against live", STOOD_IN)
        return line
    with_whom = None if credentials.found is None else credentials.value
    other = partial(server.look_at_other, network, patient.other, with_whom)
    await exam.look("clock", lambda _: server.look_at_clock(network, clock), way)
    await exam.look("demo against live", lambda _: other(), line)
    return line


async def _look_at_account(
    exam: Examination,
    line: Look[Line],
    known: tuple[Look[CtraderCredentials], Look[str], Look[Settings]],
    compare: Compare,
) -> None:
    credentials, token, settings = known
    application = await exam.look("application", account.look_at_application, line, credentials)
    opened = await exam.look("account", account.look_at_account, application, credentials, token)
    await exam.look("access rights", account.look_at_rights, opened)
    await exam.look("account type", account.look_at_kind, opened)
    symbol = await exam.look("symbol", account.look_at_symbol, opened, settings)
    instrument = partial(account.look_at_instrument, compare=compare)
    await exam.look("instrument", instrument, opened, symbol, settings)
    await exam.look("conversion", account.look_at_conversion, opened, symbol)
