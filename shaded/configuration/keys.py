"""The tree of keys that a settings model has, and which of them a misspelt one stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

#: How alike a word must be to be taken for a misspelt one: in its own table, and in any other; see ``difflib``.
_ALIKE, _MUCH_ALIKE = 0.5, 0.8

Table = type[BaseModel]
#: One table ``[name]``, any number of them ``[[name]]``, one for each name ``[name.NAME]``, or a value.
Kind = Literal["table", "tables", "named", "list", "value"]


@dataclass(frozen=True)
class Key:
    """One key of the tree.

    Attributes:
        path: The keys that lead to it, its own the last; ``NAME`` stands for a name that people choose.
        kind: What stands there.
        table: The keys below it, where it is a table.
    """

    path: tuple[str, ...]
    kind: Kind
    table: Table | None = None


def kind_of(annotation: Any) -> tuple[Kind, Table | None]:
    """What a field of that type is in a settings file."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table", annotation
    origin, inner = get_origin(annotation), get_args(annotation)
    table = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), None)
    if origin is tuple:
        return ("list", None) if table is None else ("tables", table)
    return ("value", None) if table is None or origin is not dict else ("named", table)


@lru_cache
def keys_of(model: Table, above: tuple[str, ...] = ()) -> tuple[Key, ...]:
    """Every key, from the top down."""
    found: list[Key] = []
    for name, field in model.model_fields.items():
        kind, table = kind_of(field.annotation)
        path = (*above, name)
        found.append(Key(path, kind, table))
        if kind == "named":
            path = (*path, "NAME")
            found.append(Key(path, "table", table))
        if table is not None:
            found.extend(keys_of(table, path))
    return tuple(found)


def plain(model: Table, path: Sequence[str | int]) -> tuple[str, ...]:
    """A place without the numbers of tables, and with ``NAME`` for a name that was chosen."""
    found: list[str] = []
    named = {key.path for key in keys_of(model) if key.kind == "named"}
    for part in path:
        if not isinstance(part, int):
            found.append("NAME" if tuple(found) in named else part)
    return tuple(found)


def header(model: Table, path: Sequence[str]) -> str:
    """How the table at a place is begun in a file: ``[watching]``, ``[[folder]]``; empty for the top."""
    key = next((key for key in keys_of(model) if key.path == tuple(path)), None)
    dotted = ".".join(path)
    return f"[[{dotted}]]" if key is not None and key.kind == "tables" else f"[{dotted}]" if path else ""


def instead_of(model: Table, path: Sequence[str | int]) -> str:
    """What a key that does not exist may stand for, in a few words for a person; empty where nothing is alike."""
    *above, wrong = plain(model, path)
    around = [key for key in keys_of(model) if key.path[:-1] == tuple(above)]
    elsewhere = [key for key in keys_of(model) if key.path[-1] == wrong]
    if elsewhere:
        return _belongs(model, elsewhere)
    alike, near = _nearest(wrong, around)
    more_alike, far = _nearest(wrong, keys_of(model))
    if far is not None and more_alike >= _MUCH_ALIKE and more_alike > alike:
        return f"did you mean {far.path[-1]}? {_belongs(model, [far])}"
    return f"did you mean {_named(model, near)}?" if near is not None and alike >= _ALIKE else ""


def _nearest(wrong: str, keys: Sequence[Key]) -> tuple[float, Key | None]:
    """The key that is most alike, and how much."""
    word = wrong.lower().replace("-", "_")
    ranked = [(SequenceMatcher(None, word, key.path[-1]).ratio(), key) for key in keys]
    return max(ranked, key=lambda pair: pair[0], default=(0.0, None))


def _named(model: Table, key: Key) -> str:
    if key.table is None:
        return key.path[-1]
    return header(model, (*key.path, "NAME") if key.kind == "named" else key.path)


def _belongs(model: Table, keys: Sequence[Key]) -> str:
    if any(len(key.path) == 1 for key in keys):
        return "it belongs at the top of the file, before the first [table]"
    return "it belongs under " + " or ".join(header(model, key.path[:-1]) for key in keys)
