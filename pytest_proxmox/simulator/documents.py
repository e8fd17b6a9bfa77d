"""The documents that go in and out of the embedded Proxmox, as JSON Schemas (draft 2020-12).

World files and fault rules from the constants that their readers check with, states and calls from
the dataclasses that are saved. What a schema cannot say, a reader still checks: that a guest's node
and a volume's storage exist, that no VMID comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pytest_proxmox import faults, values
from pytest_proxmox.simulator import saved, state, world
from pytest_proxmox.simulator.calls import CallRecord

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
READY_KEYS: Final = (
    *("url", "user", "password", "token_id", "token_secret", "node", "storage"),
    *("backup_storage", "template", "bridge", "ca_file", "control_url", "control_token"),
)
MAY_BE_NULL: Final = ("backup_storage", "template", "bridge")  # a world need not have them
_SCALARS: Final[Mapping[object, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}
_TEXT: Final[Schema] = {"type": "string"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_ANY_OBJECT: Final[Schema] = {"type": "object"}
_ABOVE_0: Final[Schema] = {"type": "integer", "minimum": 1}


def world_file() -> Schema:
    """Return the schema of a world file."""
    parts: Schema = {
        "$schema": _TEXT,
        "version": _TEXT,
        "cluster": {"anyOf": [{"type": ["string", "null"]}, _object({"name": _TEXT}, ["name"])]},
        "nodes": _table(_node(), names=values.NODE_FORMAT) | {"minProperties": 1},
        "storages": _table(_storage()),
        "volumes": _list(_object({"volid": _volid(), "size": _ABOVE_0}, ["volid"])),
        "users": _table(_ANY_OBJECT, names=".*@.*"),
        "tokens": _table(_object({"secret": _TEXT}, ["secret"]), names=".*@.*!.*"),
        "guests": _list(_guest()),
        "workloads": _table(_workload()),
        "downloads": _ANY_OBJECT,
        "pools": _ANY_OBJECT,
        "roles": _table(_TEXTS),
        "groups": _ANY_OBJECT,
        "acls": _list(
            _object(dict.fromkeys(("path", "ugid", "roleid"), _TEXT), ["path", "ugid", "roleid"])
        ),
        "ha": _ANY_OBJECT,
        "faults": _list(fault_rule()),
    }
    known = {key: parts[key] for key in world.KEYS}  # a key without a schema is a KeyError
    return _titled("world of the embedded Proxmox", _object(known, ["nodes"], closed=True))


def saved_state() -> Schema:
    """Return the schema of a state: of ``--state FILE``, ``GET /state`` and ``PUT /state``."""
    hints = get_type_hints(state.State)
    tables = {name: _list(_row(*get_args(hints[name]))) for name in state.TABLES}
    parts: Schema = {
        "format": {"const": saved.FORMAT},
        "now": {"type": "number"},
        "tables": _object(tables, [], closed=True),
    }
    return _titled("state of the embedded Proxmox", _object(parts, list(parts), closed=True))


def ready_file() -> Schema:
    """Return the schema of what ``serve`` and ``gateway`` write once they answer."""
    nullable: Schema = {"type": ["string", "null"]}
    parts = {key: nullable if key in MAY_BE_NULL else _TEXT for key in READY_KEYS}
    url: Schema = {"type": "string", "pattern": "^https://"}
    parts |= {"url": url, "control_url": url}
    return _titled("ready file", _object(parts, list(parts), closed=True))


def control_plane() -> Schema:
    """Return the schema of an exchange on the control plane: ``call``, ``request``, ``answer``.

    ``request`` may be left out where nothing must be sent. An answer with ``error`` is that of
    any call.
    """
    exchanges = [
        _object(
            {"call": {"const": call}, "request": request, "answer": _or_error(answer)},
            ["call", "answer", *(["request"] if "required" in request else [])],
            closed=True,
        )
        for call, (request, answer) in _calls().items()
    ]
    return _titled("exchange on the control plane", {"oneOf": exchanges})


def fault_rule() -> Schema:
    """Return the schema of a fault rule."""
    hints = get_type_hints(faults.FaultRule)
    parts = {one.name: _of(hints[one.name]) for one in fields(faults.FaultRule)}
    for name, allowed in (
        ("effect", faults.EFFECTS),
        ("phase", faults.PHASES),
        ("error", ("", *faults.CATALOGUE)),
    ):
        parts[name] = {"enum": list(allowed)}
    parts["probability"] = {"type": "number", "minimum": 0, "maximum": 1}
    for name in ("nth", "times"):
        parts[name] = {"type": ["integer", "null"], "minimum": 1}
    return _object(parts, ["effect"], closed=True)


SCHEMAS: Final[Mapping[str, Callable[[], Schema]]] = {
    "world": world_file,
    "state": saved_state,
    "ready": ready_file,
    "control": control_plane,
}


def _calls() -> dict[str, tuple[Schema, Schema]]:
    """What each call takes and gives."""
    nothing = _object({}, [], closed=True)
    id_wanted = _object({"id": _TEXT}, ["id"])
    id_given = _object({"id": _TEXT}, ["id"], closed=True)
    rule = fault_rule()
    fired = rule | {"properties": rule["properties"] | {"fired": {"type": "integer"}}}
    whole = saved_state()
    del whole["$schema"]  # that of the whole document counts
    now = _object({"now": {"type": "number"}}, ["now"], closed=True)
    seconds = _object({"advance_s": {"type": "number", "minimum": 0}}, ["advance_s"])
    return {
        "POST /reset": (_ANY_OBJECT, nothing),
        "POST /snapshot": (_ANY_OBJECT, id_given),
        "POST /restore": (id_wanted, nothing),
        "GET /calls": (_ANY_OBJECT, _list(_fields_of(CallRecord, needed=True))),
        "GET /faults": (_ANY_OBJECT, _list(fired)),
        "POST /faults": (rule, id_given),
        "DELETE /faults": (_object({"id": {"type": ["string", "null"]}}, []), nothing),
        "POST /clock": (seconds, now),
        "GET /state": (_ANY_OBJECT, whole),
        "PUT /state": (whole, nothing),
    }


def _or_error(answer: Schema) -> Schema:
    return {"anyOf": [answer, _object({"error": _TEXT}, ["error"], closed=True)]}


# --- the parts of a world -----------------------------------------------------------------------


def _node() -> Schema:
    parts: Schema = {
        "maxcpu": _ABOVE_0,
        "maxmem": _ABOVE_0,
        "bridges": _TEXTS,
        "address": _TEXT,
        "online": {"type": "boolean"},
        "kvm": {"type": ["boolean", "null"]},
    }
    return _object({key: parts[key] for key in world.NODE_KEYS}, [], closed=True)


def _storage() -> Schema:
    kinds = {"type": "array", "items": {"enum": list(world.CONTENT_TYPES)}}
    parts: Schema = {
        "type": _TEXT,
        "content": kinds,
        "size": _ABOVE_0,
        "shared": {"type": ["boolean", "integer"]},
    }
    return _object(parts, ["type"])


def _guest() -> Schema:
    number = {"type": "integer", "minimum": values.VMID_MIN, "maximum": values.VMID_MAX}
    digits = {"type": "string", "pattern": "^[1-9][0-9]{2,8}$"}
    kind: Schema = {"enum": list(get_args(values.GuestKind))}
    parts: Schema = {
        "vmid": {"anyOf": [number, digits]},
        "type": kind,
        "kind": kind,
        "node": _TEXT,
        "status": {"enum": list(world.GUEST_STATUSES)},
        "config": _ANY_OBJECT,
        "files": _ANY_OBJECT,
    }
    return _object({key: parts.get(key, {}) for key in world.GUEST_KEYS}, ["vmid"], closed=True)


def _workload() -> Schema:
    parts: Schema = {
        "serves": {"enum": list(world.WORKLOADS)},
        "name": {},
        "version": {},
        "port": {"type": "integer", "minimum": 1025, "maximum": 65535},
        "health": {"type": "string", "pattern": "^/"},
    }
    return _object({key: parts[key] for key in world.WORKLOAD_KEYS}, [], closed=True)


def _volid() -> Schema:
    pattern = re.sub(r"\?P<\w+>", "", values.VOLID_FORMAT)  # other languages name groups otherwise
    return {"type": "string", "pattern": f"^{pattern}$"}


# --- the parts of a state -----------------------------------------------------------------------


def _row(key: Any, value: Any) -> Schema:
    """A row of a table: its key and its value."""
    return _exactly([_of(key), _of(value)])


def _of(kind: Any) -> Schema:
    """The schema of a type, as ``saved`` writes its values."""
    if kind is Any:
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if is_dataclass(kind) and isinstance(kind, type):
        return _fields_of(kind, name=kind.__name__)
    of, given = get_origin(kind), get_args(kind)
    if of is Literal:
        return {"enum": list(given)}
    if of in (Union, UnionType):
        return {"anyOf": [_of(one) for one in given]}
    if of is tuple:
        several = _list(_of(given[0])) if given[-1] is ... else _exactly([_of(x) for x in given])
        return _object({saved.TUPLE: several}, [saved.TUPLE], closed=True)
    if of is frozenset:
        return _object({saved.SET: _list(_of(given[0]))}, [saved.SET], closed=True)
    return {"type": "object", "additionalProperties": _of(given[1])}


def _fields_of(kind: type[Any], *, name: str = "", needed: bool = False) -> Schema:
    """The schema of a dataclass; with a ``name`` it is marked with that."""
    hints = get_type_hints(kind)
    parts = {one.name: _of(hints[one.name]) for one in fields(kind)}
    wanted = [
        one.name
        for one in fields(kind)
        if needed or (one.default is MISSING and one.default_factory is MISSING)
    ]
    if name:
        parts[saved.CLASS] = {"const": name}
        wanted.append(saved.CLASS)
    return _object(parts, wanted, closed=True)


# --- the kinds of schema ------------------------------------------------------------------------


def _titled(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema}


def _object(parts: Mapping[str, Schema], required: list[str], *, closed: bool = False) -> Schema:
    made: Schema = {"type": "object", "properties": dict(parts)}
    if required:
        made["required"] = required
    return made | ({"additionalProperties": False} if closed else {})


def _table(value: Schema, *, names: str = "") -> Schema:
    made: Schema = {"type": "object", "additionalProperties": value}
    return made | ({"propertyNames": {"pattern": f"^(?:{names})$"}} if names else {})


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _exactly(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
