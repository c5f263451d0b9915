"""Takes a user's entry rule from the file that the configuration names, and puts it into the core.

Numba does not notice an edited callee behind a cached caller, so the rule has to be known before numba is: the text of
the file goes into the key of everything that is compiled. For the same reason the file may import nothing whose text
is not in the key already.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import palmbot
from palmbot.config import Sources, load_settings
from palmbot.core.types import Indicators, Params, Sentiment
from palmbot.errors import ConfigError
from palmbot.settings import Settings

FUNCTION = "entry"
ARGUMENTS = ("params", "indicators", "sentiment", "decision_ms")
IMPORTS = ("__future__", "math", "numba", "numpy", "palmbot.core")


def settings_with_rule(sources: Sources) -> Settings:
    """Return the settings of ``sources``, the rule that they name in force.

    Raises:
        ConfigError: a setting is wrong, or the rule's file is.
    """
    settings = load_settings(sources)
    if settings.rule_file is not None:
        put(settings.rule_file)
    return settings


def put(file: Path) -> None:
    """Make the rule of ``file`` the custom rule of this process, once and before anything is compiled.

    Raises:
        ConfigError: it cannot be read, is no Python, imports what it may not, has no function of the right arguments,
            or that function does not compile or answers something else than a side.
    """
    text = _text(file)
    code = _code(file, text)
    if "numba" in sys.modules:
        todo = "Run it in a process of its own: a rule is chosen before anything is compiled."
        raise ConfigError("RULE_TOO_LATE", todo, file=file)
    palmbot.key_by_rule(text)
    from palmbot.core import custom  # noqa: PLC0415 - imports numba: not before the key is known

    custom.RuleError.file = str(file)
    custom.is_there = True
    custom.rule = _compiled(file, _function(file, code))


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        todo = "Name a Python file that can be read, in rule_file."
        raise ConfigError("RULE_NOT_READABLE", todo, file=file, why=error.strerror) from None


def _code(file: Path, text: bytes) -> Any:  # noqa: ANN401 - a code object
    """Return the code of ``text``: what was hashed is what runs."""
    try:
        tree = ast.parse(text, str(file))
        code = compile(tree, str(file), "exec")
    except (SyntaxError, ValueError) as error:
        todo = f"Repair the Python there: {getattr(error, 'msg', error)}."
        raise ConfigError("RULE_NOT_PYTHON", todo, file=file, line=getattr(error, "lineno", None)) from None
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
        for name in names:
            if not any(name == each or name.startswith(f"{each}.") for each in IMPORTS):
                todo = f"Import from {', '.join(IMPORTS)} alone: a rule is one file, and decides by what it is given."
                raise ConfigError("RULE_IMPORT", todo, file=file, line=getattr(node, "lineno", None), name=name)
    return code


def _function(file: Path, code: Any) -> Callable[..., Any]:  # noqa: ANN401 - a code object
    module = ModuleType("palmbot_custom_rule")
    module.__file__ = str(file)
    try:
        exec(code, module.__dict__)  # noqa: S102 - the file is a person's own code, named in their configuration
    except Exception as error:
        todo = "Repair the file: it failed when it was read."
        raise ConfigError(
            "RULE_RAISED", todo, file=file, error=type(error).__name__, message=repr(str(error))
        ) from error
    function = getattr(module, FUNCTION, None)
    function = getattr(function, "py_func", function)  # one that the person compiled is compiled our way
    wanted = f"def {FUNCTION}({', '.join(ARGUMENTS)})"
    if not inspect.isfunction(function):
        raise ConfigError("RULE_NO_FUNCTION", f"Write {wanted} there.", file=file)
    if tuple(inspect.signature(function).parameters) != ARGUMENTS:
        given = ", ".join(inspect.signature(function).parameters)
        raise ConfigError("RULE_ARGUMENTS", f"Write {wanted}.", file=file, arguments=repr(given))
    return function


def _compiled(file: Path, function: Callable[..., Any]) -> Any:  # noqa: ANN401 - a compiled function
    """Return ``function`` compiled, its answer ``(side, veto)``."""
    from numba import njit, typeof, types  # noqa: PLC0415 - heavy, and not before the key is known

    kind_of: Callable[[object], Any] = typeof
    given = (kind_of(Params()), kind_of(Indicators()), kind_of(Sentiment()), types.int64)
    rule: Any = njit(nogil=True, boundscheck=True)(function)
    try:
        rule.compile(given)
    except Exception as error:  # what numba raises, and more than it promises to
        todo = "Write the rule in what numba compiles: numbers, comparisons, math, loops."
        raise ConfigError("RULE_NOT_COMPILED", todo, file=file, why=repr(_short(str(error)))) from error
    answer: Any = rule.overloads[given].signature.return_type
    if isinstance(answer, types.Integer):

        @njit(nogil=True)
        def with_no_veto(
            params: Params, indicators: Indicators, sentiment: Sentiment, decision_ms: int
        ) -> tuple[int, int]:
            return rule(params, indicators, sentiment, decision_ms), 0

        return with_no_veto
    parts: tuple[Any, ...] = tuple(answer) if str(answer).startswith(("UniTuple", "Tuple")) else ()
    if len(parts) != 2 or not all(isinstance(part, types.Integer) for part in parts):
        todo = "Let the rule answer a side, -1, 0 or 1, or (side, veto): whole numbers on every path."
        raise ConfigError("RULE_NONSENSE", todo, file=file, answers=repr(str(answer)))
    return rule


def _short(text: str) -> str:
    """Return the first two lines that say something of numba's long message."""
    said = [line.strip() for line in text.splitlines() if line.strip() and "nopython mode pipeline" not in line]
    return re.sub(r"(Params|Indicators|Sentiment)\([^)]*\)", r"\1", " ".join(said[:2]))
