"""Aliases and sets of addresses that firewall rules can name, of the cluster and of guests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.records import check_digest, digest_of
from pytest_proxmox.simulator.routes.firewall import CLUSTER, named, require_scope, scope
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_FIREWALLS: Final = (
    "/cluster/firewall",
    "/nodes/{node}/lxc/{vmid}/firewall",
    "/nodes/{node}/qemu/{vmid}/firewall",
)
_ENTRY: Final = ("cidr", "comment", "nomatch")


def _comment(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"comment": record["comment"]} if record.get("comment") else {}


def _require(call: Call, kind: str) -> Mapping[str, Any]:
    name = call.params["name"]
    record = named(call, scope(call), f"{kind}:").get(name)
    if record is None:
        noun = "alias" if kind == "alias" else "IPSet"
        raise PveError.fields({"name": f"no such {noun} '{name}'"})
    return record


# --- aliases ------------------------------------------------------------------------------------


def _alias(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    version = 6 if ":" in str(record["cidr"]) else 4
    return {"name": name, "ipversion": version, **record, "digest": digest_of(record)}


def list_aliases(call: Call) -> list[dict[str, Any]]:
    """Return the aliases."""
    return [_alias(name, one) for name, one in named(call, scope(call), "alias:").items()]


def create_alias(call: Call) -> None:
    """Give an address a name."""
    place = (require_scope(call), f"alias:{call.params['name']}")
    if place in call.state.records:
        raise PveError.fields({"name": f"alias '{call.params['name']}' already exists"})
    call.state.records[place] = {"cidr": call.params["cidr"]} | _comment(call.params)


def read_alias(call: Call) -> dict[str, Any]:
    """Return one alias."""
    return _alias(call.params["name"], _require(call, "alias"))


def update_alias(call: Call) -> None:
    """Change what an alias stands for, or its name."""
    record = _require(call, "alias")
    check_digest(record, call.params.get("digest"))
    where, old = require_scope(call), call.params["name"]
    name = call.params.get("rename", old)
    if name != old and (where, f"alias:{name}") in call.state.records:
        raise PveError.fields({"name": f"alias '{name}' already exists"})
    call.state.records.pop((where, f"alias:{old}"))
    changed = {"cidr": call.params["cidr"]} | _comment(record) | _comment(call.params)
    call.state.records[where, f"alias:{name}"] = changed


def delete_alias(call: Call) -> None:
    """Remove an alias."""
    check_digest(_require(call, "alias"), call.params.get("digest"))
    del call.state.records[scope(call), f"alias:{call.params['name']}"]


# --- sets ---------------------------------------------------------------------------------------


def list_sets(call: Call) -> list[dict[str, Any]]:
    """Return the sets."""
    return [
        {"name": name, "digest": digest_of(one)} | _comment(one)
        for name, one in named(call, scope(call), "ipset:").items()
    ]


def create_set(call: Call) -> None:
    """Make an empty set, or with ``rename`` give one another name or comment."""
    where, name = require_scope(call), call.params["name"]
    old = call.params.get("rename")
    known = named(call, where, "ipset:")
    if name in known and name != old:
        raise PveError.fields({"name": f"IPSet '{name}' already exists"})
    record: Mapping[str, Any] = {"entries": ()}
    if old is not None:
        if old not in known:
            raise PveError.fields({"name": f"IPSet '{old}' does not exist"})
        record = call.state.records.pop((where, f"ipset:{old}"))
    call.state.records[where, f"ipset:{name}"] = {**record, **_comment(call.params)}


def delete_set(call: Call) -> None:
    """Remove a set; one with entries only by force."""
    record = _require(call, "ipset")
    if record["entries"] and not call.params.get("force"):
        raise PveError(500, f"IPSet '{call.params['name']}' is not empty")
    del call.state.records[scope(call), f"ipset:{call.params['name']}"]


def list_entries(call: Call) -> list[dict[str, Any]]:
    """Return a set's addresses."""
    record = _require(call, "ipset")
    return [{**entry, "digest": digest_of(entry)} for entry in record["entries"]]


def _put_entries(call: Call, entries: list[Mapping[str, Any]]) -> None:
    record = _require(call, "ipset")
    place = (scope(call), f"ipset:{call.params['name']}")
    call.state.records[place] = {**record, "entries": tuple(entries)}


def _find_entry(call: Call) -> Mapping[str, Any]:
    for entry in _require(call, "ipset")["entries"]:
        if entry["cidr"] == call.params["cidr"]:
            found: Mapping[str, Any] = entry
            return found
    raise PveError(500, f"no such IP/Network '{call.params['cidr']}'")


def _given(call: Call) -> dict[str, Any]:
    return {key: call.params[key] for key in _ENTRY if key in call.params}


def add_entry(call: Call) -> None:
    """Put an address into a set."""
    entries = list(_require(call, "ipset")["entries"])
    if any(entry["cidr"] == call.params["cidr"] for entry in entries):
        raise PveError.fields({"cidr": f"address '{call.params['cidr']}' already exists"})
    _put_entries(call, [*entries, _given(call)])


def read_entry(call: Call) -> dict[str, Any]:
    """Return one address of a set."""
    entry = _find_entry(call)
    return {**entry, "digest": digest_of(entry)}


def update_entry(call: Call) -> None:
    """Change the comment of an address, or whether it is an exception."""
    old = _find_entry(call)
    check_digest(old, call.params.get("digest"))
    entries = list(_require(call, "ipset")["entries"])
    entries[entries.index(old)] = {**old, **_given(call)}
    _put_entries(call, entries)


def delete_entry(call: Call) -> None:
    """Take an address out of a set."""
    old = _find_entry(call)
    check_digest(old, call.params.get("digest"))
    entries = [entry for entry in _require(call, "ipset")["entries"] if entry is not old]
    _put_entries(call, entries)


# --- both ---------------------------------------------------------------------------------------


def references(call: Call) -> list[dict[str, Any]]:
    """Return what rules can name here: the guest's own and the cluster's."""
    wanted = call.params.get("type")
    found = []
    for where in dict.fromkeys((scope(call), CLUSTER)):
        label = "dc" if where == CLUSTER else "guest"
        for kind, sign in (("alias", ""), ("ipset", "+")):
            for name, record in named(call, where, f"{kind}:").items():
                if wanted in (None, kind):
                    entry = {"type": kind, "name": name, "ref": f"{sign}{label}/{name}"}
                    found.append(entry | {"scope": label} | _comment(record))
    return found


for _base in _FIREWALLS:
    FAMILY.get(_base + "/refs")(references)
    FAMILY.get(_base + "/aliases")(list_aliases)
    FAMILY.post(_base + "/aliases")(create_alias)
    FAMILY.get(_base + "/aliases/{name}")(read_alias)
    FAMILY.put(_base + "/aliases/{name}")(update_alias)
    FAMILY.delete(_base + "/aliases/{name}")(delete_alias)
    FAMILY.get(_base + "/ipset")(list_sets)
    FAMILY.post(_base + "/ipset")(create_set)
    FAMILY.get(_base + "/ipset/{name}")(list_entries)
    FAMILY.post(_base + "/ipset/{name}")(add_entry)
    FAMILY.delete(_base + "/ipset/{name}")(delete_set)
    FAMILY.get(_base + "/ipset/{name}/{cidr}")(read_entry)
    FAMILY.put(_base + "/ipset/{name}/{cidr}")(update_entry)
    FAMILY.delete(_base + "/ipset/{name}/{cidr}")(delete_entry)
