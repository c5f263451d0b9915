from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from palmbot.adapters.logs import HIDDEN, configure, is_secret, redacted


class Noon:
    def monotonic_ms(self) -> int:
        return 0

    def utc_ms(self) -> int:
        return 1_767_268_800_123  # 2026-01-01 12:00:00.123

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(verbosity: int, *, twice: bool = False) -> io.StringIO:
    stream = io.StringIO()
    if twice:
        configure(2, Noon(), stream)
    configure(verbosity, Noon(), stream)
    return stream


def test_a_line_is_key_and_value_with_the_time_the_clock_tells() -> None:
    stream = lines(1)
    structlog.get_logger().info("bar closed", rsi=51.5, side=None, late=False)
    assert stream.getvalue() == (
        'at=2026-01-01T12:00:00.123Z level=info event="bar closed" rsi=51.5 side= late=false\n'
    )


@pytest.mark.parametrize(("verbosity", "shown"), [(0, "w"), (1, "iw"), (2, "diw"), (7, "diw")])
def test_verbosity_decides_what_is_shown(verbosity: int, shown: str) -> None:
    stream = lines(verbosity)
    for log in (structlog.get_logger(), logging.getLogger("some.library")):
        log.debug("d")
        log.info("i")
        log.warning("w")
    events = [line.split("event=")[1] for line in stream.getvalue().splitlines()]
    assert events == [*shown, *shown]


@pytest.mark.parametrize(
    "name", ["token", "access_token", "apiKey", "API_KEY", "client-secret", "DB_PASSWORD", "Authorization", "keys"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["event", "monkey", "keyboard", "side", "turkey_px", "tokenizer", "client_order_id"])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret(name)


PLANTED = "hunter2hunter2"


@pytest.mark.parametrize(
    "value",
    [
        {"token": PLANTED},
        {"outer": [{"inner": ({"client_secret": PLANTED},)}]},
        f"GET /apps/token?grant_type=code&client_secret={PLANTED}&x=1",
        f'{{"accessToken": "{PLANTED}", "n": 1}}',
        f"Authorization: Bearer {PLANTED}",
        f"password={PLANTED}",
        ValueError(f"api_key: '{PLANTED}'"),
    ],
    ids=str,
)
def test_planted_secrets_are_never_printed(value: object) -> None:
    stream = lines(1)
    structlog.get_logger().warning("planted", value=value, api_key=PLANTED)
    logging.getLogger("library").warning("it said %s", value)
    assert PLANTED not in stream.getvalue()
    assert HIDDEN in stream.getvalue()


def test_what_stands_beside_a_secret_is_kept() -> None:
    assert (
        redacted("POST /t?client_secret=abc&grant_type=refresh") == f"POST /t?client_secret={HIDDEN}&grant_type=refresh"
    )
    assert redacted({"token": 1, "side": -1}) == {"token": HIDDEN, "side": -1}


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_nothing_at_all_passes_under_a_secret_name(secret: object) -> None:
    assert redacted({"access_token": secret, "list": [{"password": secret}]}) == {
        "access_token": HIDDEN,
        "list": [{"password": HIDDEN}],
    }


def test_secrets_in_a_traceback_are_hidden_and_there_is_none_without_v() -> None:
    for verbosity, traced in ((0, False), (1, True)):
        stream = lines(verbosity)
        for log in (structlog.get_logger(), logging.getLogger("library")):
            try:
                int(f"token={PLANTED}")
            except ValueError:
                log.exception("it failed")
        assert stream.getvalue().count("Traceback") == 2 * traced
        assert stream.getvalue().count("ValueError") >= 2
        assert PLANTED not in stream.getvalue()


def test_foreign_text_cannot_make_a_second_line_or_move_the_cursor() -> None:
    stream = lines(0)
    structlog.get_logger().warning("provider", said="fine\nat=1999 level=info \x1b[2J \r gone \u202e")
    assert stream.getvalue().count("\n") == 1
    assert not set("\x1b\r\u202e") & set(stream.getvalue())


def test_the_last_configuration_counts_and_nothing_is_printed_twice() -> None:
    log = structlog.get_logger()
    stream = lines(0, twice=True)
    log.info("quiet")
    log.warning("loud")
    assert stream.getvalue().count("level=") == 1


def test_the_http_libraries_keep_their_urls_to_themselves() -> None:
    stream = lines(2)
    for name in ("httpx", "httpcore", "httpcore.connection"):
        logging.getLogger(name).info("HTTP Request: GET https://x/?a=1")
    assert stream.getvalue() == ""
