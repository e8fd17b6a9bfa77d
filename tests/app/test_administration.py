"""Adoption, ghosts, settings, schedules, audit, catalog, metrics."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from pytest_proxmox.simulator.faults import Faults
from src_app.configuration import Configuration
from src_app.db.models import now
from src_app.db.repositories import RepositoryFactory
from src_app.proxmox.errors import ProxmoxError
from src_app.services.manager import Manager
from src_app.web.application import create_app
from tests.app.conftest import CHEAP, VMIDS, Caller
from tests.app.test_backup import back_up

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]


def test_adopted_container_is_managed_and_left_as_it_is(
    admin: Caller, proxmox_sandbox: Any, proxmox: Any, proxmox_simulator: EmbeddedProxmox
) -> None:
    guest = proxmox_sandbox.lxc(start=1)
    proxmox_simulator.clock.advance(60)  # the cluster's list of guests is some seconds old
    name = guest.name
    before = proxmox.nodes(guest.node).lxc(guest.vmid).config.get()
    found = admin.get("/apps/discover")
    assert [c["name"] for c in found if c["vmid"] == guest.vmid] == [name]
    accepted = admin.post("/apps/adopt", vmid=int(guest.vmid), port=8080)
    admin.done(accepted)
    app = admin.get(f"/apps/custom-{name}")
    assert (app["status"], app["adopted"], app["vmid"]) == ("running", True, guest.vmid)
    assert proxmox.nodes(guest.node).lxc(guest.vmid).config.get() == before
    admin.expect(409, "/apps/adopt", vmid=int(guest.vmid))
    assert guest.vmid not in [c["vmid"] for c in admin.get("/apps/discover")]
    admin.done(admin.post(f"/apps/custom-{name}/actions", action="stop"))
    assert guest.status() == "stopped"
    admin.done(admin.call("DELETE", f"/apps/custom-{name}"))
    assert guest.status() == "stopped"


def test_adoption_of_nothing_is_refused(admin: Caller) -> None:
    answer = admin.expect(409, "/apps/adopt", vmid=123456)
    assert "not there" in answer["detail"]


def test_port_of_an_adopted_app_is_found_where_it_answers(
    admin: Caller, manager: Manager, proxmox_simulator: EmbeddedProxmox
) -> None:
    made = admin.deploy()  # it listens on 8080, and nothing does on 80

    def forget(db: RepositoryFactory) -> None:
        db.apps.delete(made["id"])
        db.claims.delete(made["vmid"])

    manager.store.run(forget)
    proxmox_simulator.clock.advance(60)
    admin.done(admin.post("/apps/adopt", vmid=made["vmid"], hostname="found"))
    app = admin.get("/apps/custom-found")
    assert (app["address"], app["port"]) == (made["address"], made["port"])


def test_adoption_that_fails_leaves_the_container_and_no_app(
    admin: Caller, proxmox_sandbox: Any, proxmox_faults: Faults, proxmox_simulator: EmbeddedProxmox
) -> None:
    guest = proxmox_sandbox.lxc()
    proxmox_simulator.clock.advance(60)
    answer = admin.expect(422, "/apps/adopt", vmid=int(guest.vmid), hostname="not a name")
    assert "give another hostname" in answer["detail"]
    proxmox_faults.add(effect="error", text="disk on fire", method="GET", path="**/config")
    operation = admin.done(admin.post("/apps/adopt", vmid=int(guest.vmid)), "rolled_back")
    assert "disk on fire" in operation["error"]
    assert admin.get("/apps")["total"] == 0
    assert guest.status() == "stopped"


def test_ghosts_are_named_by_a_dry_run_and_then_removed(
    admin: Caller, owner: Caller, manager: Manager, proxmox: Any, proxmox_simulator: EmbeddedProxmox
) -> None:
    lost = owner.deploy(hostname="lost-row")
    gone = owner.deploy(hostname="gone-guest")
    manager.store.run(lambda db: db.apps.delete(lost["id"]))
    proxmox.nodes("pve").lxc(gone["vmid"]).delete(force=1)
    proxmox_simulator.clock.advance(60)  # the cluster's list of guests is some seconds old
    owner.client.portal.call(manager.monitoring.sync)  # type: ignore[union-attr]  # it runs
    assert owner.get(f"/apps/{gone['id']}")["status"] == "error"
    told = admin.post("/system/cleanup")
    assert {(g["kind"], g["name"]) for g in told} == {
        ("container", str(lost["vmid"])),
        ("app", gone["id"]),
    }
    assert not any(ghost["removed"] for ghost in told)
    assert proxmox_simulator.guest(lost["vmid"]) is not None
    assert all(g["removed"] for g in admin.post("/system/cleanup", dry_run=False))
    assert proxmox_simulator.guest(lost["vmid"]) is None
    assert admin.get("/apps")["total"] == 0
    assert admin.post("/system/cleanup") == []


def test_failed_listing_changes_no_row(
    admin: Caller, owner: Caller, manager: Manager, proxmox_faults: Faults
) -> None:
    app = owner.deploy()
    proxmox_faults.add(effect="error", error="no-route", method="GET", path="/nodes")
    admin.expect(502, "/system/cleanup", dry_run=False)
    assert owner.get(f"/apps/{app['id']}")["status"] == "running"


def test_offline_node_leaves_the_status_of_its_apps(
    owner: Caller, manager: Manager, proxmox_faults: Faults
) -> None:
    app = owner.deploy()
    proxmox_faults.add(effect="node-offline", node="pve")
    portal = owner.client.portal
    assert portal is not None
    with suppress(ProxmoxError):  # the only node is off, so perhaps nothing answers at all
        portal.call(manager.monitoring.sync)
    assert owner.get(f"/apps/{app['id']}")["status"] == "running"


def test_container_stopped_behind_our_back_shows_as_stopped(
    owner: Caller, manager: Manager, proxmox: Any, proxmox_simulator: EmbeddedProxmox
) -> None:
    app = owner.deploy()
    task = proxmox.nodes("pve").lxc(app["vmid"]).status.stop.post()
    proxmox.nodes("pve").tasks(task).status.get()
    proxmox_simulator.clock.advance(60)
    owner.client.portal.call(manager.monitoring.sync)  # type: ignore[union-attr]  # it runs
    assert owner.get(f"/apps/{app['id']}")["status"] == "stopped"


def test_settings_are_checked_and_secrets_never_shown(admin: Caller, manager: Manager) -> None:
    values = {"keep_last": "5", "proxmox_token_value": "s3cret-value"}
    shown = admin.call("PUT", "/settings", json={"values": values})
    assert shown["auto"]["keep_last"] == "5"
    assert shown["proxmox"]["proxmox_token_value"] == "******"
    row = manager.store.read(lambda db: db.settings.get("proxmox_token_value"))
    assert row.value is None
    assert b"s3cret" not in (row.sealed or b"s3cret")
    admin.call("PUT", "/settings", json={"values": {"proxmox_token_value": "******"}})
    assert manager.store.read(manager.settings.environment) == {
        "PROXMOX_TOKEN_VALUE": "s3cret-value"
    }
    for bad in ({"mode": "turbo"}, {"backup_rule": "hourly"}, {"nonesuch": "1"}):
        answer = admin.call("PUT", "/settings", 422, json={"values": bad})
        assert set(answer["fields"]) == set(bad)
    admin.call("DELETE", "/settings/keep_last")
    assert admin.get("/settings")["auto"]["keep_last"] == "3"


def test_auto_mode_backs_up_when_it_is_due_and_only_once(
    admin: Caller, owner: Caller, manager: Manager
) -> None:
    owner.deploy()
    values = {"mode": "auto", "keep_last": "1", "keep_daily": "0", "keep_weekly": "0"}
    admin.call("PUT", "/settings", json={"values": values})
    assert all(row["enabled"] for row in admin.get("/schedules"))

    def make_due(db: Any) -> None:
        db.schedules.update("backup", {"next_at": now()})

    manager.store.run(make_due)
    portal = owner.client.portal
    assert portal is not None
    turns = portal.call(manager.scheduling.run_due)
    assert [turn.kind for turn in turns] == ["backup"]
    assert portal.call(manager.scheduling.run_due) == []
    manager.wake()
    _settle(owner)
    assert admin.post("/schedules/backup/run")["text"].startswith("1 of 1 backups begun")
    _settle(owner)
    assert owner.get("/backups")["total"] == 2
    admin.post("/schedules/backup/run")
    _settle(owner)
    assert owner.get("/backups")["total"] == 2


def _settle(owner: Caller) -> None:
    """Return once all operations have ended."""
    for operation in owner.get("/operations")["operations"]:
        owner.ended({"operation": operation})


def test_update_check_notes_the_newer_version(admin: Caller, owner: Caller) -> None:
    owner.deploy(version="1.0")
    assert admin.post("/schedules/update-check/run")["text"] == "1 apps can be updated"
    assert owner.get("/apps")["apps"][0]["latest_version"] == "2.0"


def test_audit_log_says_who_did_what(admin: Caller, owner: Caller) -> None:
    app = owner.deploy()
    owner.post(f"/apps/{app['id']}/command/config")
    entries = admin.get("/audit", subject=app["id"])["entries"]
    assert [entry["action"] for entry in entries] == ["command", "deploy"]
    assert {entry["user_id"] for entry in entries} == {owner.user["id"]}


def test_monitoring_shows_use_history_logs_and_nodes(
    owner: Caller, proxmox_simulator: EmbeddedProxmox
) -> None:
    others = len(proxmox_simulator.vmids())  # other tests' warm containers stay
    app = owner.deploy()
    assert owner.get(f"/apps/{app['id']}/history")["points"] == []
    proxmox_simulator.clock.advance(300)
    first = owner.get(f"/apps/{app['id']}/stats")
    assert (first["status"], first["cached"]) == ("running", False)
    assert owner.get(f"/apps/{app['id']}/stats")["cached"] is True
    assert first["memory_total_bytes"] == 256 * 1024**2
    assert owner.get(f"/apps/{app['id']}/history", timeframe="hour")["points"]
    lines = owner.get(f"/apps/{app['id']}/logs")["lines"]
    assert any("Creating LXC container" in line for line in lines)
    (node,) = owner.get("/system/nodes")
    assert (node["node"], node["status"], node["containers"]) == ("pve", "online", others + 1)
    assert owner.get("/system/nodes/pve/history")["points"]
    for command in owner.get(f"/apps/{app['id']}/commands"):
        assert "output" in owner.post(f"/apps/{app['id']}/command/{command}")
    owner.expect(404, f"/apps/{app['id']}/command/rm")


def test_metrics_count_apps_and_backups(admin: Caller, owner: Caller) -> None:
    back_up(owner, owner.deploy())
    answer = admin.client.get("/api/v1/metrics", headers={"Authorization": f"Bearer {admin.token}"})
    assert 'app_manager_apps{status="running"} 1.0' in answer.text
    assert 'app_manager_backups{status="available"} 1.0' in answer.text
    assert 'app_manager_operations{kind="deploy",status="succeeded"} 1.0' in answer.text


def test_bad_catalog_file_is_reported_and_skipped(
    configuration: Configuration, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    good = json.loads(Path("src_app/catalog/entries/nginx.json").read_text(encoding="utf-8"))
    (folder / "mine.json").write_text(json.dumps(good | {"id": "mine", "name": "Mine"}))
    (folder / "broken.json").write_text("{")
    config = replace(configuration, catalog=(folder,))
    with TestClient(create_app(Manager.build(config, environment, hasher=CHEAP))) as client:
        guest = Caller(client)
        login = guest.post("/auth/register", username="admin", password="long enough")
        admin = Caller(client, login["access_token"])
        total = admin.get("/apps/catalog")["total"]
        assert admin.get("/apps/catalog/mine")["name"] == "Mine"
        (folder / "third.json").write_text(json.dumps(good | {"id": "third", "port": 0}))
        report = admin.post("/apps/catalog/reload")
        assert report["total"] == total
        assert {p["file"]: p["text"].partition(":")[0] for p in report["skipped"]} == {
            "broken.json": "Expecting property name enclosed in double quotes",
            "third.json": "port",
        }


def test_catalog_has_real_entries_to_search(owner: Caller) -> None:
    found = owner.get("/apps/catalog")
    assert found["total"] >= 12
    assert [v["version"] for v in owner.get("/apps/catalog/nginx")["versions"]] == ["1.0", "2.0"]
    assert [e["id"] for e in owner.get("/apps/catalog", q="git forge")["items"]] == ["gitea"]
    media = owner.get("/apps/catalog", category="media")["items"]
    assert [entry["id"] for entry in media] == ["jellyfin"]
    assert all(
        ":" in v["source"] and "latest" not in v["source"]
        for e in found["items"]
        for v in e["versions"]
    )
    owner.get("/apps/catalog/none", 404)


def test_world_of_these_tests_is_the_catalogs(manager: Manager) -> None:
    world = json.loads(Path("tests/app/world.json").read_text(encoding="utf-8"))
    wanted = manager.context.catalog.embedded_world()
    assert {key: world[key] for key in wanted} == wanted
    serves = {facts["serves"] for facts in world["workloads"].values()}
    assert {"static", "key-value", "websocket", "failing"} <= serves


def test_app_starts_and_says_so_while_proxmox_is_away(
    configuration: Configuration, environment: dict[str, str]
) -> None:
    away = environment | {"PROXMOX_PORT": "1"}
    with TestClient(create_app(Manager.build(configuration, away, hasher=CHEAP))) as client:
        guest = Caller(client)
        health = guest.get("/health")
        assert health["status"] == "degraded"
        assert health["database"]["ok"]
        assert "no Proxmox answers" in health["proxmox"]["detail"]
        login = guest.post("/auth/register", username="admin", password="long enough")
        admin = Caller(client, login["access_token"])
        assert admin.get("/system/nodes", 503)["code"] == "proxmox"
        assert admin.get("/apps")["total"] == 0
        assert admin.post("/system/test-connection")["ok"] is False


def test_health_names_each_dependency(client: TestClient) -> None:
    health = Caller(client).get("/health")
    assert health["status"] == "ok"
    assert health["proxmox"]["detail"].startswith("Proxmox VE 9")
    assert Caller(client).get("/apps/health") == {"status": "ok"}
