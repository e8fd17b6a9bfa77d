"""Firewall rules and options of the cluster, of nodes, of guests and of security groups.

A scope (``firewall/cluster``, ``firewall/100``) is a family of records; its rules are one record,
in order, because a rule's position is its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_proxmox.simulator import guests
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.records import check_digest, digest_of, without
from pytest_proxmox.simulator.wire import PveError
from pytest_proxmox.values import parse_kind

FAMILY: Final = Family()
Rule = Mapping[str, Any]

CLUSTER: Final = "firewall/cluster"
_GROUP: Final = "/cluster/firewall/groups/{group}"
_RULE_LISTS: Final = (
    "/cluster/firewall/rules",
    "/nodes/{node}/firewall/rules",
    "/nodes/{node}/lxc/{vmid}/firewall/rules",
    "/nodes/{node}/qemu/{vmid}/firewall/rules",
    _GROUP,
)
_OPTIONS: Final = (
    "/cluster/firewall/options",
    "/nodes/{node}/firewall/options",
    "/nodes/{node}/lxc/{vmid}/firewall/options",
    "/nodes/{node}/qemu/{vmid}/firewall/options",
)
_LOGS: Final = (
    "/nodes/{node}/firewall/log",
    "/nodes/{node}/lxc/{vmid}/firewall/log",
    "/nodes/{node}/qemu/{vmid}/firewall/log",
)
_ACTIONS: Final = ("ACCEPT", "DROP", "REJECT")
_NOT_KEPT: Final = ("node", "vmid", "group", "pos", "digest", "delete", "moveto", "rename")


def scope(call: Call) -> str:
    """Return the scope that a call's path is in."""
    if call.template.startswith("/cluster/"):
        return CLUSTER
    if "vmid" in call.params:
        return f"firewall/{call.params['vmid']}"
    return f"firewall/node/{call.node}"


def require_scope(call: Call) -> str:
    """Return the scope that a call writes to; a guest must be there for that.

    Raises:
        PveError: the guest's configuration file does not exist.
    """
    if "vmid" in call.params:
        guests.require(call, parse_kind(call.template.split("/")[3]))
    return scope(call)


def _place(call: Call) -> tuple[str, str]:
    """Return where the rules of a call's path are kept."""
    if "group" in call.params:
        return CLUSTER, f"group:{call.params['group']}"
    return scope(call), "rules"


def _record(call: Call) -> dict[str, Any]:
    place = _place(call)
    record = call.state.records.get(place)
    if record is None and "group" in call.params:
        raise PveError(500, f"no such security group '{call.params['group']}'")
    return dict(record or {"rules": ()})


def _rules(call: Call) -> list[Rule]:
    return list(_record(call)["rules"])


def _store(call: Call, rules: list[Rule]) -> None:
    if "group" not in call.params:
        require_scope(call)
    call.state.records[_place(call)] = _record(call) | {"rules": tuple(rules)}


def _digest(rules: list[Rule]) -> str:
    return digest_of({str(number): sorted(rule.items()) for number, rule in enumerate(rules)})


def _shown(rules: list[Rule]) -> Iterator[dict[str, Any]]:
    digest = _digest(rules)
    for position, rule in enumerate(rules):
        yield {**rule, "pos": position, "digest": digest}


def _at(call: Call, rules: list[Rule]) -> int:
    position: int = call.params["pos"]
    if position >= len(rules):
        raise PveError(500, f"no rule at position {position}")
    return position


def _check_digest(call: Call, rules: list[Rule]) -> None:
    given = call.params.get("digest")
    if given and given != _digest(rules):
        check_digest({}, given)


def _checked(call: Call, rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule, refusing an action that does not go with its type."""
    action = str(rule["action"])
    if rule["type"] == "group":
        if (CLUSTER, f"group:{action}") not in call.state.records:
            raise PveError.fields({"action": f"security group '{action}' does not exist"})
    elif action.upper() not in _ACTIONS:
        raise PveError.fields({"action": f"unknown action '{action}'"})
    return rule


def list_rules(call: Call) -> list[dict[str, Any]]:
    """Return the rules in order."""
    return list(_shown(_rules(call)))


def create_rule(call: Call) -> None:
    """Add a rule, at the top where no position is given."""
    rules = _rules(call)
    _check_digest(call, rules)
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    rule = _checked(call, {"enable": 0} | given)
    rules.insert(call.params.get("pos", 0), rule)
    _store(call, rules)


def read_rule(call: Call) -> dict[str, Any]:
    """Return one rule."""
    rules = _rules(call)
    return list(_shown(rules))[_at(call, rules)]


def update_rule(call: Call) -> None:
    """Change a rule, or move it; a move changes nothing else."""
    rules = _rules(call)
    position = _at(call, rules)
    _check_digest(call, rules)
    if "moveto" in call.params:
        rule = rules.pop(position)
        target: int = call.params["moveto"]
        rules.insert(target - 1 if target > position else target, rule)
    else:
        given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
        kept = without(rules[position], call.params.get("delete"))
        rules[position] = _checked(call, kept | given)
    _store(call, rules)


def delete_rule(call: Call) -> None:
    """Remove a rule; those below move up."""
    rules = _rules(call)
    position = _at(call, rules)
    _check_digest(call, rules)
    del rules[position]
    _store(call, rules)


for _path in _RULE_LISTS:
    FAMILY.get(_path)(list_rules)
    FAMILY.post(_path)(create_rule)
    FAMILY.get(_path + "/{pos}")(read_rule)
    FAMILY.put(_path + "/{pos}")(update_rule)
    FAMILY.delete(_path + "/{pos}")(delete_rule)


# --- security groups ----------------------------------------------------------------------------


def _groups(call: Call) -> dict[str, Mapping[str, Any]]:
    return named(call, CLUSTER, "group:")


def named(call: Call, where: str, prefix: str) -> dict[str, Mapping[str, Any]]:
    """Return the records of a scope whose ids start with ``prefix``, by the rest, in order."""
    found = {
        ident.removeprefix(prefix): record
        for (family, ident), record in call.state.records.items()
        if family == where and ident.startswith(prefix)
    }
    return dict(sorted(found.items()))


@FAMILY.get("/cluster/firewall/groups")
def list_groups(call: Call) -> list[dict[str, Any]]:
    """Return the security groups."""
    return [
        {"group": name, "digest": digest_of(group)}
        | ({"comment": group["comment"]} if group.get("comment") else {})
        for name, group in _groups(call).items()
    ]


@FAMILY.post("/cluster/firewall/groups")
def create_group(call: Call) -> None:
    """Make a security group, or with ``rename`` give one another name or comment."""
    name, old = call.params["group"], call.params.get("rename")
    records = call.state.records
    comment = {"comment": call.params["comment"]} if "comment" in call.params else {}
    if old is None:
        if name in _groups(call):
            raise PveError.fields({"group": f"Security group '{name}' already exists"})
        records[CLUSTER, f"group:{name}"] = {"rules": ()} | comment
        return
    if old not in _groups(call):
        raise PveError.fields({"group": f"Security group '{old}' does not exist"})
    if name != old and name in _groups(call):
        raise PveError.fields({"group": f"Security group '{name}' already exists"})
    record = dict(records.pop((CLUSTER, f"group:{old}")))
    records[CLUSTER, f"group:{name}"] = record | comment


@FAMILY.delete(_GROUP)
def delete_group(call: Call) -> None:
    """Remove an empty security group."""
    if _rules(call):
        raise PveError(500, f"Security group '{call.params['group']}' is not empty")
    del call.state.records[_place(call)]


# --- options and logs ---------------------------------------------------------------------------


def read_options(call: Call) -> dict[str, Any]:
    """Return the options that were set."""
    options = call.state.records.get((scope(call), "options"), {})
    return dict(options) | {"digest": digest_of(options)}


def update_options(call: Call) -> None:
    """Set and delete options."""
    place = (require_scope(call), "options")
    options = call.state.records.get(place, {})
    check_digest(options, call.params.get("digest"))
    given = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
    call.state.records[place] = without(options, split(call.params.get("delete"))) | given


for _path in _OPTIONS:
    FAMILY.get(_path)(read_options)
    FAMILY.put(_path)(update_options)


def empty_log(call: Call) -> list[dict[str, Any]]:
    """Return that nothing was logged: no packets are filtered here."""
    return [{"n": 1, "t": "no content"}]


for _path in _LOGS:
    FAMILY.get(_path, checked=True)(empty_log)
