"""Configuration that is kept but not acted on: every family is made, read, changed, removed."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client

NOTIFY = "/cluster/notifications/endpoints"
MAP = "node=pve,path=/dev/null,id=0000:0000"

# (path, parameter of the id, what it is made with, what is changed)
SECTIONS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "gotify": (
        f"{NOTIFY}/gotify",
        "name",
        {"server": "https://g.example", "token": "t0ken"},
        {"comment": "new"},
    ),
    "sendmail": (f"{NOTIFY}/sendmail", "name", {"mailto": "a@b.example"}, {"author": "me"}),
    "smtp": (
        f"{NOTIFY}/smtp",
        "name",
        {
            "server": "mail.example",
            "from-address": "a@b.example",
            "mailto": "c@d.example",
            "password": "pw",
        },
        {"port": 2525},
    ),
    "webhook": (
        f"{NOTIFY}/webhook",
        "name",
        {"url": "https://w.example", "method": "post"},
        {"comment": "new"},
    ),
    "matcher": (
        "/cluster/notifications/matchers",
        "name",
        {"target": "mail-to-root"},
        {"mode": "any"},
    ),
    "dir": ("/cluster/mapping/dir", "id", {"map": "node=pve,path=/srv"}, {"description": "new"}),
    "pci": (
        "/cluster/mapping/pci",
        "id",
        {"map": "node=pve,path=0000:01:00.0,id=1af4:1000"},
        {"mdev": 1},
    ),
    "usb": ("/cluster/mapping/usb", "id", {"map": "node=pve,id=1af4:1000"}, {"description": "new"}),
    "acme": ("/cluster/acme/plugins", "id", {"type": "standalone"}, {"nodes": "pve"}),
    "cpu": (
        "/cluster/qemu/custom-cpu-models",
        "cputype",
        {"reported-model": "kvm64"},
        {"hidden": 1},
    ),
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_section_is_made_listed_changed_and_removed(pve: Client, kind: str) -> None:
    path, key, made, changed = SECTIONS[kind]
    more = {"reported-model": "kvm64"} if kind == "cpu" else {}
    more |= {"map": made["map"]} if "map" in made else {}
    assert pve.post(path, **{key: "mine"}, **made).status == 200
    assert "mine" in [entry[key] for entry in pve.get(path).data]
    assert pve.put(f"{path}/mine", **changed, **more).status == 200
    read = pve.get(f"{path}/mine").data
    assert {name: read[name] for name in changed} == changed
    assert pve.delete(f"{path}/mine").status == 200
    assert "mine" not in [entry[key] for entry in pve.get(path).data]
    assert pve.get(f"{path}/mine").status == 500


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_section_is_not_made_twice(pve: Client, kind: str) -> None:
    path, key, made, _ = SECTIONS[kind]
    pve.post(path, **{key: "mine"}, **made)
    again = pve.post(path, **{key: "mine"}, **made)
    assert again.status == 500
    assert again.reason.endswith("'mine' already exists")


@pytest.mark.parametrize(("kind", "secret"), [("gotify", "token"), ("smtp", "password")])
def test_a_secret_is_never_shown(pve: Client, kind: str, secret: str) -> None:
    path, key, made, _ = SECTIONS[kind]
    pve.post(path, **{key: "mine"}, **made)
    assert secret not in pve.get(f"{path}/mine").data
    assert all(secret not in entry for entry in pve.get(path).data)


def test_a_section_is_changed_against_its_digest(pve: Client) -> None:
    path, key, made, changed = SECTIONS["sendmail"]
    pve.post(path, **{key: "mine"}, **made)
    digest = pve.get(f"{path}/mine").data["digest"]
    assert pve.put(f"{path}/mine", digest=digest, **changed).status == 200
    stale = pve.put(f"{path}/mine", digest=digest, author="other")
    assert "detected modified configuration" in stale.reason


def test_a_metric_server_is_made_at_its_own_path(pve: Client) -> None:
    path = "/cluster/metrics/server/flux"
    assert pve.post(path, type="influxdb", server="m.example", port=8089).status == 200
    pve.put(path, port=8090, server="m.example")
    [entry] = pve.get("/cluster/metrics/server").data
    assert (entry["id"], entry["port"], entry["disable"]) == ("flux", 8090, 0)
    pve.delete(path)
    assert pve.get("/cluster/metrics/server").data == []


def test_every_node_mails_to_root_from_the_start(pve: Client) -> None:
    [target] = pve.get("/cluster/notifications/targets").data
    assert (target["name"], target["type"], target["origin"]) == (
        "mail-to-root",
        "sendmail",
        "builtin",
    )
    pve.put(f"{NOTIFY}/sendmail/mail-to-root", comment="mine now")
    [target] = pve.get("/cluster/notifications/targets").data
    assert (target["comment"], target["origin"]) == ("mine now", "modified-builtin")


def test_a_matcher_knows_its_targets(pve: Client) -> None:
    said = pve.post("/cluster/notifications/matchers", name="mine", target="nope")
    assert said.reason == "create matcher failed: could not find target 'nope'"


def test_matchers_can_look_at_what_there_is(pve: Client) -> None:
    pve.post("/cluster/backup", id="job", schedule="daily", all=1)
    values = pve.get("/cluster/notifications/matcher-field-values").data
    assert {"field": "hostname", "value": "pve"} in values
    assert {"field": "job-id", "value": "job"} in values


def test_metrics_are_exported(pve: Client, sim: Simulator) -> None:
    sim.plant(vmid=100, status="running")
    rows = pve.get("/cluster/metrics/export").data["data"]
    assert {row["id"] for row in rows} >= {"node/pve", "lxc/100", "storage/pve/local"}
    later = pve.get("/cluster/metrics/export", **{"start-time": int(sim.clock.now()) + 999})
    assert later.data == {"data": []}
