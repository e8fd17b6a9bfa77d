"""Backups that outlive their app, and restores that keep data, settings and owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from pytest_proxmox.simulator.faults import Faults
from src_app.domain.retention import Retention
from src_app.services.manager import Manager
from tests.app.conftest import VMIDS, Caller
from tests.app.test_deploy import fetch

pytestmark = [pytest.mark.vmid_range(size=VMIDS), pytest.mark.backup]
PAYLOAD = bytes(range(256))


def back_up(owner: Caller, app: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Return the backup that was made."""
    operation = owner.done(owner.post(f"/apps/{app['id']}/backups", **how))
    found: dict[str, Any] = owner.get(f"/backups/{operation['backup_id']}")
    return found


@pytest.fixture
def app(owner: Caller) -> dict[str, Any]:
    """An app with a payload in it."""
    made: dict[str, Any] = owner.deploy("nginx", "site", environment={"SECRET": "kept"})
    fetch(made, "/data/file.bin", put=PAYLOAD)
    return made


def test_backup_has_the_name_that_proxmox_gave_it(
    owner: Caller, app: dict[str, Any], proxmox: Any
) -> None:
    backup = back_up(owner, app, notes="before the party")
    listed = proxmox.nodes("pve").storage(backup["storage"]).content.get(content="backup")
    assert [entry["volid"] for entry in listed] == [backup["volid"]]
    assert backup["status"] == "available"
    assert backup["size_bytes"] == listed[0]["size"]
    assert backup["notes"] == "before the party"
    assert owner.get(f"/apps/{app['id']}/backups")["total"] == 1


def test_deleted_app_comes_back_with_data_settings_and_owner(
    owner: Caller, admin: Caller, app: dict[str, Any]
) -> None:
    owner.done(owner.call("PUT", f"/apps/{app['id']}/config", json={"cpu_cores": 3}))
    backup = back_up(owner, owner.get(f"/apps/{app['id']}"))
    owner.done(owner.call("DELETE", f"/apps/{app['id']}"))
    kept = owner.get(f"/backups/{backup['id']}")
    assert (kept["status"], kept["app_id"]) == ("available", None)
    admin.done(admin.post(f"/backups/{backup['id']}/restore"))
    back = owner.get(f"/apps/{app['id']}")
    assert fetch(back, "/data/file.bin") == PAYLOAD
    same = ("id", "hostname", "version", "memory_mib", "disk_gib", "owner", "port")
    assert {key: back[key] for key in same} == {key: app[key] for key in same}
    assert (back["cores"], back["status"]) == (3, "running")
    assert owner.get(f"/apps/{app['id']}/environment", reveal=True)["SECRET"] == "kept"
    assert owner.get(f"/backups/{backup['id']}")["app_id"] == app["id"]


def test_restore_over_an_app_is_refused_and_changes_nothing(
    owner: Caller, app: dict[str, Any], proxmox_simulator: EmbeddedProxmox
) -> None:
    backup = back_up(owner, app)
    fetch(app, "/data/file.bin", put=b"newer")
    before = owner.get(f"/apps/{app['id']}"), proxmox_simulator.vmids()
    answer = owner.expect(409, f"/backups/{backup['id']}/restore")
    assert "overwrite" in answer["detail"]
    assert (owner.get(f"/apps/{app['id']}"), proxmox_simulator.vmids()) == before
    assert fetch(app, "/data/file.bin") == b"newer"


def test_restore_in_place_brings_the_old_data_back(
    owner: Caller, app: dict[str, Any], proxmox_simulator: EmbeddedProxmox
) -> None:
    backup = back_up(owner, app)
    fetch(app, "/data/file.bin", put=b"newer")
    count = len(proxmox_simulator.vmids())
    owner.done(owner.post(f"/backups/{backup['id']}/restore", overwrite=True))
    back = owner.get(f"/apps/{app['id']}")
    assert fetch(back, "/data/file.bin") == PAYLOAD
    assert back["url"] == app["url"]
    assert len(proxmox_simulator.vmids()) == count


def test_failed_restore_in_place_leaves_the_app_as_it_was(
    owner: Caller, app: dict[str, Any], proxmox_faults: Faults, proxmox_simulator: EmbeddedProxmox
) -> None:
    backup = back_up(owner, app)
    fetch(app, "/data/file.bin", put=b"newer")
    before = proxmox_simulator.vmids()
    proxmox_faults.add(effect="task-error", task="vzrestore", text="archive is damaged")
    owner.done(owner.post(f"/backups/{backup['id']}/restore", overwrite=True), "rolled_back")
    left = owner.get(f"/apps/{app['id']}")
    assert left["status"] == "running"
    assert fetch(left, "/data/file.bin") == b"newer"
    assert proxmox_simulator.vmids() == before
    assert owner.get(f"/backups/{backup['id']}")["status"] == "available"


def test_failed_restore_of_a_stopped_app_does_not_start_it(
    owner: Caller, app: dict[str, Any], proxmox_faults: Faults
) -> None:
    backup = back_up(owner, app)
    owner.done(owner.post(f"/apps/{app['id']}/actions", action="stop"))
    proxmox_faults.add(effect="task-error", task="vzrestore", text="archive is damaged")
    owner.done(owner.post(f"/backups/{backup['id']}/restore", overwrite=True), "rolled_back")
    after = owner.get(f"/apps/{app['id']}")
    assert (after["status"], after["vmid"]) == ("stopped", app["vmid"])
    assert "archive is damaged" in after["status_text"]


def test_former_container_that_stays_behind_is_told(
    owner: Caller, app: dict[str, Any], proxmox_faults: Faults
) -> None:
    backup = back_up(owner, app)
    proxmox_faults.add(effect="task-warnings", task="vzdestroy", times=1)
    owner.done(owner.post(f"/backups/{backup['id']}/restore", overwrite=True), "failed")
    after = owner.get(f"/apps/{app['id']}")
    assert after["status"] == "running"
    assert after["vmid"] != app["vmid"]
    assert after["status_text"].startswith("Restored; the former container is left behind: ")
    assert owner.get(f"/backups/{backup['id']}")["status"] == "available"
    assert fetch(after, "/data/file.bin") == PAYLOAD


def test_restore_to_another_hostname_makes_a_second_app(owner: Caller, app: dict[str, Any]) -> None:
    backup = back_up(owner, app)
    owner.done(owner.post(f"/backups/{backup['id']}/restore", hostname="second"))
    second = owner.get("/apps/nginx-second")
    assert second["vmid"] != app["vmid"]
    assert fetch(second, "/data/file.bin") == PAYLOAD
    fetch(second, "/data/file.bin", put=b"second's own")
    assert fetch(app, "/data/file.bin") == PAYLOAD
    for name in ("nginx-second", "nginx-site"):
        owner.done(owner.call("DELETE", f"/apps/{name}"))


def test_failed_backup_says_so_and_leaves_no_archive(
    owner: Caller, app: dict[str, Any], proxmox_faults: Faults, proxmox: Any
) -> None:
    proxmox_faults.add(effect="task-error", task="vzdump", text="job errors")
    begun = owner.post(f"/apps/{app['id']}/backups")
    operation = owner.done(begun, "rolled_back")
    backup = owner.get(f"/backups/{operation['backup_id']}")
    assert backup["status"] == "failed"
    assert "job errors" in backup["error"]
    assert proxmox.nodes("pve").storage("local").content.get(content="backup") == []
    owner.expect(409, f"/backups/{backup['id']}/restore")
    assert owner.get(f"/apps/{app['id']}")["status"] == "running"


def test_protected_backup_is_not_deleted(owner: Caller, app: dict[str, Any], proxmox: Any) -> None:
    backup = back_up(owner, app, protected=True)
    content = proxmox.nodes("pve").storage("local").content
    assert content.get(content="backup")[0]["protected"] == 1
    owner.call("DELETE", f"/backups/{backup['id']}", 409)
    owner.call("PATCH", f"/backups/{backup['id']}", json={"protected": False, "notes": "old"})
    assert owner.get(f"/backups/{backup['id']}")["notes"] == "old"
    owner.call("DELETE", f"/backups/{backup['id']}")
    owner.get(f"/backups/{backup['id']}", 404)
    assert content.get(content="backup") == []


def test_prune_deletes_what_the_rule_does_not_keep(owner: Caller, app: dict[str, Any]) -> None:
    made = [back_up(owner, app)["id"] for _ in range(3)]
    path = f"/apps/{app['id']}/backups/prune"
    owner.expect(422, path, keep_last=0)
    told = owner.post(path, keep_last=1, dry_run=True)
    assert [backup["id"] for backup in told["backups"]] == made[:2]
    assert owner.get("/backups")["total"] == 3
    owner.post(path, keep_last=1, dry_run=False)
    assert [backup["id"] for backup in owner.get("/backups")["backups"]] == made[2:]


def test_retention_keeps_the_newest_of_each_period() -> None:
    noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    moments = [noon - timedelta(hours=6 * n) for n in range(200)]
    assert Retention(keep_last=2).kept(moments) == set(moments[:2])
    daily = Retention(keep_daily=3).kept(moments)
    assert sorted(m.day for m in daily) == [29, 30, 31]
    assert noon in daily
    assert len(Retention(keep_daily=7, keep_monthly=2).kept(moments)) == 8


def test_backup_of_another_user_looks_like_none(
    owner: Caller, app: dict[str, Any], register: Any
) -> None:
    backup = back_up(owner, app)
    other = register("other")
    other.expect(404, f"/backups/{backup['id']}/restore")
    other.call("DELETE", f"/backups/{backup['id']}", 404)
    assert other.get("/backups")["total"] == 0


def test_stored_facts_of_a_backup_are_sealed(
    owner: Caller, app: dict[str, Any], manager: Manager
) -> None:
    backup = back_up(owner, app)
    row = manager.store.read(lambda db: db.backups.get(backup["id"]))
    assert "kept" not in str(row.app_facts["environment"])
