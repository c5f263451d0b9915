"""How a command answers: its result on stdout, its error on stderr, both as one JSON object where that was asked."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from palmbot.errors import PalmbotError

COMPILING = "Compiling the decision core for this machine. This happens once and may take a minute."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say: ``body`` with ``--json``, ``text`` without, and its exit code."""

    body: Mapping[str, Any]
    text: str
    exit_code: int = field(default=0, kw_only=True)


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print ``answer`` on stdout."""
    typer.echo(json.dumps(answer.body, default=str) if as_json else answer.text)


def print_note(text: str) -> None:
    """Print ``text`` on stderr, where it disturbs no reader of the answer."""
    typer.echo(text, err=True)


def print_error(error: PalmbotError, *, as_json: bool, verbose: bool) -> None:
    """Print ``error`` on stderr, with the traceback of its cause when ``verbose``, and as JSON on stdout if asked."""
    if verbose:
        cause = error.__cause__ if error.code == "UNEXPECTED" and error.__cause__ is not None else error
        traceback.print_exception(cause, file=sys.stderr)
    typer.echo(str(error), err=True)
    if as_json:
        body = {"code": error.code, "todo": error.todo, "facts": error.facts}
        typer.echo(json.dumps({"error": body}, default=str))
