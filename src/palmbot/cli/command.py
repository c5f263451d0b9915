"""From a frozen class of options to a command: the class is the signature, so shared options are written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

import typer

from palmbot.cli.answer import Answer, print_answer
from palmbot.cli.options import Options

OptionsT = TypeVar("OptionsT", bound=Options)
AnswerT = TypeVar("AnswerT", bound=Answer | None)


def command(
    app: typer.Typer, name: str, options: type[OptionsT]
) -> Callable[[Callable[[OptionsT], AnswerT]], Callable[[OptionsT], AnswerT]]:
    """Return a decorator that registers a function of one ``options`` value as the command ``name`` of ``app``.

    Each field of ``options`` becomes an option or argument of the command; the function's docstring is its help. A
    function that has said everything itself returns None.
    """

    def register(function: Callable[[OptionsT], AnswerT]) -> Callable[[OptionsT], AnswerT]:
        def invoke(**given: Any) -> int:  # noqa: ANN401 - whatever the fields are
            chosen = options(**given)
            answer = function(chosen)
            if answer is None:
                return 0
            print_answer(answer, as_json=chosen.as_json)
            return answer.exit_code

        invoke.__doc__ = function.__doc__
        # typer reads a command's options off the signature of its function
        invoke.__signature__ = inspect.Signature(_parameters(options))  # type: ignore[attr-defined]
        app.command(name)(invoke)
        return function

    return register


def _parameters(options: type[Options]) -> list[inspect.Parameter]:
    """Return what typer is told of the fields of ``options``; those that every command takes come last in the help."""
    hints = get_type_hints(options, include_extras=True)
    shared = {field.name for field in fields(Options)}
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in sorted(fields(options), key=lambda field: field.name in shared)
    ]
