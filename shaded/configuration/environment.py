"""The variables that begin with ``SHADED_``: each names a setting, and one that names none is a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches

from shaded.configuration.keys import Key, Kind, Table, header, keys_of, plain
from shaded.errors import ConfigurationError

PREFIX = "SHADED_"
#: What a cluster sets by itself in every container beside a service that is called "shaded" (Kubernetes' "service
#: environment variables"; Docker's links have the same form).
_OF_A_CLUSTER = re.compile(
    r"SHADED_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)\Z"
)
#: How alike a name must be to be called the nearest; see ``difflib``.
_ALIKE = 0.4
_JSON: dict[Kind, tuple[type | tuple[type, ...], str]] = {
    "list": (list, '["one", "another"]'),
    "tables": ((list, dict), '[{"outbox": "/pictures/outbox", "publish": "/pictures/published"}]'),
    "table": (dict, '{"key": "value"}'),
    "named": (dict, '{"name": {"key": "value"}}'),
}


def variables_set(model: Table, environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """The places in the tree of settings that variables set, each with the variable's name.

    Raises:
        ConfigurationError: One names no setting, or its value is not the JSON that its setting needs.
    """
    known = {key.path: key for key in keys_of(model)}
    found: dict[tuple[str, ...], str] = {}
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or _OF_A_CLUSTER.match(name):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        key = known.get(plain(model, path))
        if key is None or _list_above(model, path) is not None:
            raise _unknown(model, name, path)
        if environment[name]:
            _refuse_other_json(name, environment[name], key)
            found[path] = name
    return found


def _list_above(model: Table, path: tuple[str, ...]) -> Key | None:
    """The list of tables that a place would be a part of, which only JSON can name."""
    return next(
        (key for key in keys_of(model) if key.kind == "tables" and key.path == path[: len(key.path)] != path), None
    )


def _refuse_other_json(name: str, text: str, key: Key) -> None:
    if key.kind == "value":
        return
    wanted, example = _JSON[key.kind]
    try:
        fits, why = isinstance(json.loads(text), wanted), "it is another kind of value"
    except (ValueError, RecursionError) as error:
        fits, why = False, str(error)
    if not fits:
        what = f"{'.'.join(key.path)}: the variable {name} has to be JSON such as {example} ({why})"
        raise ConfigurationError(what, remedy="Mend the variable")


def _unknown(model: Table, name: str, path: tuple[str, ...]) -> ConfigurationError:
    what = f"{name}: there is no such setting"
    tables = _list_above(model, path) or next(
        (key for key in keys_of(model) if key.kind == "tables" and key.path + path[-1:] in _paths(model)), None
    )
    if name.upper().startswith(f"{PREFIX}CONFIG"):
        return ConfigurationError(what, remedy="Name the settings file with --config")
    if tables is not None:
        whole = PREFIX + "__".join(tables.path).upper()
        return ConfigurationError(
            f"{what}; it is a part of {header(model, tables.path)}",
            remedy=f"Write them all into {whole}, as JSON: {_JSON['tables'][1]}",
        )
    names = {"__".join(_with_names(key.path, path)).upper() for key in keys_of(model)}
    near = get_close_matches("__".join(path).upper(), sorted(names), 1, _ALIKE)
    remedy = f"The nearest that there is: {PREFIX}{near[0]}" if near else "config.example.toml shows every setting"
    return ConfigurationError(what, remedy=remedy)


def _paths(model: Table) -> set[tuple[str, ...]]:
    return {key.path for key in keys_of(model)}


def _with_names(pattern: tuple[str, ...], path: tuple[str, ...]) -> tuple[str, ...]:
    """A place with the name that somebody chose where the pattern only says that there is one."""
    chosen = path[1] if len(path) > 1 else "NAME"
    return tuple(chosen if part == "NAME" else part for part in pattern)
