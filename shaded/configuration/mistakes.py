"""What is wrong with the settings, one clause for each mistake: where it stands, what it is, and what is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shaded.configuration.keys import Table, header, instead_of, keys_of, plain

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Sources:
    """Where settings came from.

    Attributes:
        file: What the settings file holds.
        variables: The places that variables set, with their names.
    """

    file: Mapping[str, Any]
    variables: Mapping[tuple[str, ...], str]

    def variable_of(self, place: Place) -> str:
        """The variable that set a value, or a part of it; empty where none did."""
        words = tuple(part for part in place if not isinstance(part, int))
        for path, name in self.variables.items():
            shorter = min(len(path), len(words))
            if words and path[:shorter] == tuple(word.lower() for word in words[:shorter]):
                return name
        return ""


def explained(error: ValidationError, model: Table, sources: Sources) -> tuple[str, bool]:
    """One clause for each mistake, each beginning with the key; and whether the settings file has a part in them."""
    clauses = []
    in_file = False
    for mistake in error.errors():
        place, message = mistake["loc"], _message(model, mistake)
        variable = sources.variable_of(place)
        in_file = in_file or not variable
        key = _key(place, sources)
        key = f"{variable} ({key})" if variable else key
        clauses.append(f"{key}: {message}" if key else message)
    return "; ".join(clauses), in_file and bool(sources.file)


def _key(place: Place, sources: Sources) -> str:
    """A place as a person finds it in the file; a table that is there once has no number."""
    if len(place) > 1 and place[1] == 0 and isinstance(sources.file.get(str(place[0])), dict):
        place = (place[0], *place[2:])
    return ".".join(str(part) for part in place)


def _message(model: Table, mistake: ErrorDetails) -> str:
    kind, place, given = mistake["type"], mistake["loc"], mistake["input"]
    message = mistake["msg"].removeprefix("Value error, ")
    kinds = {key.path: key.kind for key in keys_of(model)}
    if kind == "extra_forbidden":
        instead = instead_of(model, place)
        return f"there is no such key ({instead})" if instead else "there is no such key"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return _no_table(model, place, given)
    if kind == "tuple_type" and kinds.get(plain(model, place)) == "tables":
        return f"write {header(model, plain(model, place))} and the keys below it"
    if kind == "tuple_type":
        return "write a list" if isinstance(given, dict) else f"write a list, such as [{_shown(given)}]"
    if kind == "literal_error":
        return f"{message}, and not {_shown(given)}"
    return {
        "missing": "it is missing",
        "path_type": "write a path in quotes",
        "string_pattern_mismatch": 'write "auto", or HOST:PORT such as "studio.local:6379"',  # cluster.address has one
    }.get(kind, message)


def _no_table(model: Table, place: Place, given: Any) -> str:
    """What to write where a table is expected and something else stands."""
    chosen = [str(part) for part in place]
    if isinstance(given, list):
        return f"write {header(model, chosen)}, with single brackets, and only once"
    path = plain(model, place)
    named = any(key.kind == "named" and key.path == path for key in keys_of(model))
    begin = header(model, (*path, "NAME") if named else path)
    name = ", with a name of your own for NAME," if begin.endswith("NAME]") else ""
    return f"that is no table; write {begin}{name} and the keys below it"


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
