"""Firewall: ordered rules, options, security groups, aliases and address sets."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client

SCOPES = [
    "/cluster/firewall",
    "/nodes/pve/firewall",
    "/nodes/pve/lxc/100/firewall",
    "/nodes/pve/qemu/101/firewall",
]
NAMED = [scope for scope in SCOPES if scope != "/nodes/pve/firewall"]


@pytest.fixture
def fw(pve: Client, sim: Simulator) -> Client:
    """Root on a node with a container 100 and a VM 101."""
    sim.plant(vmid=100)
    sim.plant(vmid=101, type="qemu")
    return pve


def comments(client: Client, scope: str) -> list[str]:
    return [rule["comment"] for rule in client.get(f"{scope}/rules").data]


def add(client: Client, scope: str, comment: str, **params: Any) -> None:
    rule = {"type": "in", "action": "ACCEPT", "comment": comment} | params
    assert client.post(f"{scope}/rules", **rule).status == 200


@pytest.mark.parametrize("scope", SCOPES)
def test_a_new_rule_goes_to_the_top(fw: Client, scope: str) -> None:
    add(fw, scope, "first")
    add(fw, scope, "second")
    add(fw, scope, "third", pos=1)
    assert comments(fw, scope) == ["second", "third", "first"]
    assert [rule["pos"] for rule in fw.get(f"{scope}/rules").data] == [0, 1, 2]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_rule_is_changed_moved_and_removed(fw: Client, scope: str) -> None:
    for name in ("c", "b", "a"):
        add(fw, scope, name)
    fw.put(f"{scope}/rules/0", enable=1, dport="22", proto="tcp")
    assert fw.get(f"{scope}/rules/0").data["dport"] == "22"
    fw.put(f"{scope}/rules/0", moveto=2)
    assert comments(fw, scope) == ["b", "a", "c"]
    assert fw.delete(f"{scope}/rules/0").status == 200
    assert comments(fw, scope) == ["a", "c"]


def test_rules_are_changed_against_their_digest(fw: Client) -> None:
    add(fw, "/cluster/firewall", "one")
    digest = fw.get("/cluster/firewall/rules/0").data["digest"]
    assert fw.put("/cluster/firewall/rules/0", comment="two", digest=digest).status == 200
    said = fw.put("/cluster/firewall/rules/0", comment="three", digest=digest)
    assert said.reason.startswith("detected modified configuration")


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"type": "in", "action": "MAYBE"}, "action"),
        ({"type": "group", "action": "nope"}, "action"),
    ],
    ids=["action", "group"],
)
def test_a_rule_must_say_what_to_do(fw: Client, rule: dict[str, str], field: str) -> None:
    assert field in fw.post("/cluster/firewall/rules", **rule).errors


def test_a_rule_that_is_not_there_is_a_500(fw: Client) -> None:
    said = fw.get("/cluster/firewall/rules/0")
    assert said.refusal == (500, "no rule at position 0")


def test_a_guest_that_is_not_there_has_no_rules_and_gets_none(fw: Client) -> None:
    assert fw.get("/nodes/pve/lxc/4999/firewall/rules").body == {"data": []}
    said = fw.post("/nodes/pve/lxc/4999/firewall/rules", type="in", action="DROP")
    assert said.refusal == (500, "Configuration file 'nodes/pve/lxc/4999.conf' does not exist")


def test_a_removed_guest_takes_its_rules_along(fw: Client, sim: Simulator) -> None:
    add(fw, "/nodes/pve/lxc/100/firewall", "old")
    assert fw.finish(fw.delete("/nodes/pve/lxc/100")) == "OK"
    sim.plant(vmid=100)
    assert fw.get("/nodes/pve/lxc/100/firewall/rules").data == []


@pytest.mark.parametrize("scope", SCOPES)
def test_options_are_set_and_deleted(fw: Client, scope: str) -> None:
    assert set(fw.get(f"{scope}/options").data) == {"digest"}
    fw.put(f"{scope}/options", enable=1)
    assert fw.get(f"{scope}/options").data["enable"] == 1
    fw.put(f"{scope}/options", delete="enable")
    assert "enable" not in fw.get(f"{scope}/options").data


def test_a_security_group_is_used_renamed_and_removed(fw: Client) -> None:
    fw.post("/cluster/firewall/groups", group="web", comment="the web")
    fw.post("/cluster/firewall/groups/web", type="in", action="ACCEPT", dport="80", proto="tcp")
    assert fw.get("/cluster/firewall/groups/web/0").data["dport"] == "80"
    fw.put("/cluster/firewall/groups/web/0", dport="443")
    assert fw.post("/cluster/firewall/rules", type="group", action="web").status == 200
    fw.post("/cluster/firewall/groups", group="www", rename="web")
    [group] = fw.get("/cluster/firewall/groups").data
    assert (group["group"], group["comment"]) == ("www", "the web")
    assert fw.delete("/cluster/firewall/groups/www").status == 500
    fw.delete("/cluster/firewall/groups/www/0")
    assert fw.delete("/cluster/firewall/groups/www").status == 200
    assert fw.get("/cluster/firewall/groups/www").status == 500


@pytest.mark.parametrize("scope", NAMED)
def test_an_alias_is_made_renamed_and_removed(fw: Client, scope: str) -> None:
    fw.post(f"{scope}/aliases", name="gate", cidr="192.0.2.1", comment="c")
    assert "name" in fw.post(f"{scope}/aliases", name="gate", cidr="192.0.2.2").errors
    fw.put(f"{scope}/aliases/gate", cidr="192.0.2.3", rename="door")
    [alias] = fw.get(f"{scope}/aliases").data
    assert (alias["name"], alias["cidr"], alias["ipversion"]) == ("door", "192.0.2.3", 4)
    assert fw.get(f"{scope}/aliases/door").data["comment"] == "c"
    assert fw.delete(f"{scope}/aliases/door").status == 200
    assert "name" in fw.get(f"{scope}/aliases/door").errors


@pytest.mark.parametrize("scope", NAMED)
def test_an_address_set_is_filled_and_emptied(fw: Client, scope: str) -> None:
    fw.post(f"{scope}/ipset", name="good")
    fw.post(f"{scope}/ipset/good", cidr="192.0.2.0/24", comment="c")
    fw.post(f"{scope}/ipset/good", cidr="192.0.2.7", nomatch=1)
    fw.put(f"{scope}/ipset/good/192.0.2.0%2F24", comment="changed")
    assert fw.get(f"{scope}/ipset/good/192.0.2.0%2F24").data["comment"] == "changed"
    assert [entry["cidr"] for entry in fw.get(f"{scope}/ipset/good").data] == [
        "192.0.2.0/24",
        "192.0.2.7",
    ]
    assert fw.delete(f"{scope}/ipset/good").status == 500
    fw.delete(f"{scope}/ipset/good/192.0.2.7")
    assert len(fw.get(f"{scope}/ipset/good").data) == 1
    assert fw.delete(f"{scope}/ipset/good", force=1).status == 200
    assert fw.get(f"{scope}/ipset").data == []


def test_an_address_is_in_a_set_once(fw: Client) -> None:
    fw.post("/cluster/firewall/ipset", name="good")
    fw.post("/cluster/firewall/ipset/good", cidr="192.0.2.7")
    assert "cidr" in fw.post("/cluster/firewall/ipset/good", cidr="192.0.2.7").errors


def test_references_name_what_rules_can_use(fw: Client) -> None:
    fw.post("/cluster/firewall/aliases", name="gate", cidr="192.0.2.1")
    fw.post("/nodes/pve/lxc/100/firewall/ipset", name="good")
    refs = [entry["ref"] for entry in fw.get("/nodes/pve/lxc/100/firewall/refs").data]
    assert refs == ["+guest/good", "dc/gate"]
    only = fw.get("/nodes/pve/lxc/100/firewall/refs", type="alias").data
    assert [entry["ref"] for entry in only] == ["dc/gate"]
