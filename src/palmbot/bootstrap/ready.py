"""Reads the line by which an exchange in another process says where and how it is reached."""

from __future__ import annotations

import json
from pathlib import Path

from palmbot.errors import DataError
from palmbot.exchange.premises import Ready


def read_ready(file: Path) -> Ready:
    """Return the line that ``palmbot exchange`` prints when it is ready, from a file.

    Raises:
        DataError: it is none.
    """
    try:
        return Ready(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        todo = "Start `palmbot exchange` and keep the line that it prints in a file: palmbot exchange > F."
        raise DataError("NOT_A_READY_LINE", todo, file=file, error=type(error).__name__) from None
