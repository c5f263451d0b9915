"""Logs on stderr as ``key=value``, with secrets taken out. Configured by ``configure``, nothing at import."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

import structlog
from structlog.processors import LogfmtRenderer, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level
from structlog.typing import EventDict, Processor, WrappedLogger

from palmbot.ports import Clock

_HANDLER: Final = "palmbot"
HIDDEN: Final = "[hidden]"
_CHATTY: Final = ("httpx", "httpcore", "alembic", "asyncio", "numba")  # they tell URLs and inner loops below WARNING
_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
_SENSITIVE: Final = r"tokens?|secrets?|passwords?|passwd|keys?|credentials?|authorization|cookie"
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD: Final = re.compile(_SENSITIVE, re.IGNORECASE)
# name=value, name: value and "name": "value" inside a text, such as an error that quotes its URL
_SECRET_TEXT: Final = re.compile(
    rf"""(\b[\w-]*(?:{_SENSITIVE})["']?\s*[=:]\s*(?:Bearer\s+)?["']?)([^\s&"',;}}]+)""", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Return whether a value called ``name`` must not be shown (``access_token``, ``apiKey``, ``DB-PASSWORD``)."""
    return any(_SECRET_WORD.fullmatch(word) for word in _WORDS.findall(name))


def redacted(value: object) -> object:
    """Return ``value`` without the secrets inside it: by name in mappings, by ``name=value`` in texts."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(rf"\1{HIDDEN}", value)
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) else redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide secrets in a log line; a structlog processor."""
    return {key: HIDDEN if is_secret(key) else redacted(value) for key, value in event.items()}


def configure(verbosity: int, clock: Clock, stream: TextIO | None = None) -> None:
    """Send every log line, ours and the libraries', to ``stream``.

    Args:
        verbosity: 0 shows warnings and errors, 1 also what is done, 2 and more everything. Tracebacks need 1.
        clock: tells the time of a line.
        stream: stderr when None.
    """

    def add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        now = datetime.fromtimestamp(clock.utc_ms() / 1000, UTC)
        return {"at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **event}

    level = _LEVELS[min(verbosity, len(_LEVELS) - 1)]
    shared: list[Processor] = [add_log_level, add_time, format_exc_info if verbosity > 0 else _name_exception]
    order = LogfmtRenderer(key_order=["at", "level", "event"], bool_as_flag=False)
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared, processors=[ProcessorFormatter.remove_processors_meta, redact, _printable, order]
        )
    )
    handler.set_name(_HANDLER)
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == _HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a second configuration must reach loggers that were used before
    )


def _name_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace a traceback by the exception's name and text."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}"
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep control characters, such as those that move a terminal's cursor, out of a line."""
    return {key: _escaped(value) if isinstance(value, str) else value for key, value in event.items()}


def _escaped(value: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in value)
