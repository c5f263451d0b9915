"""How frozen values lie in rows of a table: each field a column, values inside values flat, in order of the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_type_hints

Value = TypeVar("Value")
_STORAGE = {int: "INTEGER", bool: "INTEGER", str: "TEXT", float: "REAL"}


class _Cell(NamedTuple):
    """One field: a column of its own, or those of the value inside it."""

    name: str
    kind: type[Any]
    is_optional: bool
    inside: Columns[Any] | None

    @property
    def width(self) -> int:
        return 1 if self.inside is None else len(self.inside.names)

    def cells(self, value: object) -> tuple[Any, ...]:
        """Return what is written of the field's value."""
        if self.inside is None:
            return (value,)
        return (None,) * self.width if value is None else self.inside.row(value)

    def value(self, cells: Sequence[Any]) -> object:
        """Return the field's value of what was written."""
        if self.inside is not None:
            is_absent = self.is_optional and all(cell is None for cell in cells)
            return None if is_absent else self.inside.value(cells)
        cell = cells[0]
        return cell if cell is None or self.kind in {int, str, float} else self.kind(cell)


class Columns(Generic[Value]):
    """The columns of one kind of value: a dataclass or NamedTuple of numbers, texts, enums and such values.

    Args:
        kind: the kind.
        skipped: fields that are not written; they come back as their defaults.
    """

    def __init__(self, kind: type[Value], skipped: frozenset[str] = frozenset()) -> None:
        self._kind = kind
        self._cells = [_cell(name, hint) for name, hint in _fields(kind) if name not in skipped]
        self.names: list[str] = []
        self.declarations: list[str] = []
        for cell in self._cells:
            inside = cell.inside
            names = [cell.name] if inside is None else [f"{cell.name}_{name}" for name in inside.names]
            storage = [_storage(cell.kind)] if inside is None else [each.split()[1] for each in inside.declarations]
            self.names += names
            self.declarations += [f"{name} {stored}" for name, stored in zip(names, storage, strict=True)]

    def row(self, value: Value) -> tuple[Any, ...]:
        """Return ``value`` as a row."""
        return tuple(written for cell in self._cells for written in cell.cells(getattr(value, cell.name)))

    def value(self, row: Sequence[Any]) -> Value:
        """Return the value of a row; what follows its columns is not looked at."""
        return self._kind(**self.found(row))

    def found(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the fields of the value of a row."""
        found, start = {}, 0
        for cell in self._cells:
            found[cell.name] = cell.value(row[start : start + cell.width])
            start += cell.width
        return found


def _fields(kind: type[Any]) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    names = [each.name for each in fields(kind) if each.init] if is_dataclass(kind) else list(kind._fields)
    return [(name, hints[name]) for name in names]


def _cell(name: str, hint: type[Any] | UnionType) -> _Cell:
    is_optional = isinstance(hint, UnionType)
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kind: type[Any] = next(each for each in kinds if each is not type(None))
    return _Cell(name, kind, is_optional, Columns(kind) if is_dataclass(kind) else None)


def _storage(kind: type[Any]) -> str:
    return "INTEGER" if issubclass(kind, IntEnum) else _STORAGE[kind]
