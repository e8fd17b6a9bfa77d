"""Containers: features, sizes, snapshots, power, consoles, templates (golden 03, 05, 06, 08)."""

from __future__ import annotations

import pytest

from .client import Client
from .container_room import (
    GIB,
    TEMPLATE,
    backup,
    config,
    content,
    create,
    login,
    lxc,
    power,
    status,
)

CT = lxc("pve", 100)


@pytest.fixture
def pve() -> Client:
    """Root on a node where container 100 lies on lvmthin."""
    client = login()
    create(client)
    return client


def snapshot(pve: Client, name: str, vmid: int = 100, **params: object) -> str:
    return pve.finish(pve.post(f"{lxc('pve', vmid)}/snapshot", snapname=name, **params))


# --- what there is --------------------------------------------------------------------------------


def test_a_container_tells_what_is_below_it(pve: Client) -> None:
    names = {row["subdir"] for row in pve.get(CT).data}
    assert {"config", "status", "snapshot", "migrate", "clone", "firewall"} <= names
    below = {row["subdir"] for row in pve.get(CT + "/status").data}
    assert {"current", "start", "stop", "shutdown", "reboot"} <= below


def test_a_container_that_is_not_there_has_nothing_below(pve: Client) -> None:
    missing = "Configuration file 'nodes/pve/lxc/4999.conf' does not exist"
    for path in ("", "/status", "/feature?feature=snapshot", "/migrate"):
        assert pve.get(lxc("pve", 4999) + path).refusal == (500, missing)


# --- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "able"),
    [("local", 0), ("thin", 1), ("tank", 1)],
    ids=["dir", "lvmthin", "zfspool"],
)
def test_a_snapshot_is_a_feature_of_the_storage(pve: Client, storage: str, able: int) -> None:
    create(pve, 101, rootfs=f"{storage}:1")
    for feature in ("snapshot", "clone"):
        said = pve.get(lxc("pve", 101) + "/feature", feature=feature)
        assert said.data == {"hasFeature": able}
    taken = snapshot(pve, "s1", 101)
    assert taken == ("OK" if able else "snapshot feature is not available")


def test_one_volume_that_cannot_takes_the_feature_from_all(pve: Client) -> None:
    pve.put(CT + "/config", mp0="local:1,mp=/data")
    assert pve.get(CT + "/feature", feature="snapshot").data == {"hasFeature": 0}
    assert pve.get(CT + "/feature", feature="copy").data == {"hasFeature": 1}


def test_the_features_of_a_snapshot_are_those_of_its_volumes(pve: Client) -> None:
    snapshot(pve, "s1")
    pve.put(CT + "/config", mp0="local:1,mp=/data")
    of_snapshot = pve.get(CT + "/feature", feature="snapshot", snapname="s1")
    assert of_snapshot.data == {"hasFeature": 1}
    missing = pve.get(CT + "/feature", feature="snapshot", snapname="s9")
    assert missing.refusal == (500, "snapshot 's9' does not exist")


# --- sizes ----------------------------------------------------------------------------------------


def test_a_volume_grows_and_shows_it_everywhere(pve: Client) -> None:
    assert pve.finish(pve.put(CT + "/resize", disk="rootfs", size="+1G")) == "OK"
    assert config(pve)["rootfs"].endswith(",size=2G")
    assert content(pve, "thin")["thin:vm-100-disk-0"]["size"] == 2 * GIB
    assert pve.get(CT + "/status/current").data["maxdisk"] == 2 * GIB
    assert pve.finish(pve.put(CT + "/resize", disk="rootfs", size="3G")) == "OK"
    assert config(pve)["rootfs"].endswith(",size=3G")


@pytest.mark.parametrize(
    ("disk", "size", "refusal"),
    [
        ("rootfs", "512M", (500, "unable to shrink disk size")),
        ("rootfs", "+0", (500, "disk is already at specified size")),
        ("mp3", "+1G", (500, "format error")),
        ("scsi0", "+1G", (400, "Parameter verification failed.")),
        ("rootfs", "-1G", (400, "Parameter verification failed.")),
    ],
    ids=["smaller", "same", "not there", "a VM's", "negative"],
)
def test_a_size_that_cannot_be_is_refused(
    pve: Client, disk: str, size: str, refusal: tuple[int, str]
) -> None:
    before = config(pve)
    assert pve.put(CT + "/resize", disk=disk, size=size).refusal == refusal
    assert config(pve) == before


def test_a_locked_container_keeps_its_size(pve: Client) -> None:
    pve.post("/nodes/pve/vzdump", vmid=100, storage="bak", bwlimit=1)
    refusal = (500, "CT is locked (backup)")
    assert pve.put(CT + "/resize", disk="rootfs", size="+1G").refusal == refusal


# --- snapshots ------------------------------------------------------------------------------------


def test_a_snapshot_keeps_the_configuration_of_its_time(pve: Client) -> None:
    assert snapshot(pve, "s1", description="before") == "OK"
    pve.put(CT + "/config", memory=1024)
    found = pve.get(CT + "/snapshot/s1/config").data
    assert (found["memory"], found["description"]) == (512, "before\n")
    assert config(pve, snapshot="s1")["memory"] == 512
    assert config(pve)["memory"] == 1024


def test_the_words_of_a_snapshot_can_be_changed(pve: Client) -> None:
    snapshot(pve, "s1", description="before")
    assert pve.put(CT + "/snapshot/s1/config", description="after").data is None
    assert pve.get(CT + "/snapshot/s1/config").data["description"] == "after\n"
    listed = {row["name"]: row["description"] for row in pve.get(CT + "/snapshot").data}
    assert listed == {"s1": "after\n", "current": "You are here!"}
    missing = pve.put(CT + "/snapshot/s9/config", description="x")
    assert missing.refusal == (500, "snapshot 's9' does not exist")


def test_a_snapshot_tells_what_can_be_done_with_it(pve: Client) -> None:
    assert pve.get(CT + "/snapshot/s1").data == [{"cmd": "rollback"}, {"cmd": "config"}]


def test_the_children_of_a_removed_snapshot_become_its_parents(pve: Client) -> None:
    for name in ("s1", "s2", "s3"):
        assert snapshot(pve, name) == "OK"
    assert pve.finish(pve.delete(CT + "/snapshot/s2")) == "OK"
    parents = {row["name"]: row.get("parent") for row in pve.get(CT + "/snapshot").data}
    assert parents == {"s1": None, "s3": "s1", "current": "s3"}
    assert pve.finish(pve.delete(CT + "/snapshot/s3")) == "OK"
    assert config(pve)["parent"] == "s1"


def test_a_removed_snapshot_cannot_be_removed_again(pve: Client) -> None:
    snapshot(pve, "s1")
    assert pve.finish(pve.delete(CT + "/snapshot/s1")) == "OK"
    assert pve.finish(pve.delete(CT + "/snapshot/s1")) == "snapshot 's1' does not exist"
    assert "lock" not in config(pve)


# --- power ----------------------------------------------------------------------------------------


def test_a_reboot_starts_it_afresh_with_what_was_pending(pve: Client) -> None:
    power(pve, "start")
    pve.put(CT + "/config", cmode="shell")
    before = pve.get(CT + "/status/current").data
    assert power(pve, "reboot") == "OK"
    after = pve.get(CT + "/status/current").data
    assert after["status"] == "running"
    assert after["pid"] != before["pid"]
    assert [row for row in pve.get(CT + "/pending").data if "pending" in row] == []
    assert config(pve)["cmode"] == "shell"


def test_only_what_runs_can_be_rebooted_or_frozen(pve: Client) -> None:
    assert pve.post(CT + "/status/reboot").refusal == (500, "VM 100 not running")
    assert pve.post(CT + "/status/suspend").refusal == (500, "CT 100 not running")


@pytest.mark.parametrize("action", ["suspend", "resume"])
def test_freezing_fails_in_the_task_and_changes_nothing(pve: Client, action: str) -> None:
    power(pve, "start")
    ending = power(pve, action)
    assert ending.startswith("command 'lxc-checkpoint -n 100 ")
    assert ending.endswith("failed: exit code 1")
    assert status(pve) == "running"


# --- consoles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vncproxy", "termproxy"])
def test_a_console_gives_a_ticket_and_a_port(pve: Client, kind: str) -> None:
    power(pve, "start")
    first, second = (pve.post(f"{CT}/{kind}").data for _ in range(2))
    assert first["ticket"].startswith("PVEVNC:")
    assert first["user"] == "root@pam"
    assert first["port"] != second["port"]
    running = {row["upid"] for row in pve.get("/nodes/pve/tasks", source="active").data}
    assert second["upid"] in running


def test_a_spice_viewer_gets_what_it_needs(pve: Client) -> None:
    power(pve, "start")
    found = pve.post(CT + "/spiceproxy").data
    assert found["type"] == "spice"
    assert found["tls-port"] >= 6000


def test_a_console_of_nothing_is_refused(pve: Client) -> None:
    missing = "Configuration file 'nodes/pve/lxc/4999.conf' does not exist"
    assert pve.post(lxc("pve", 4999) + "/termproxy").refusal == (500, missing)


# --- templates and linked clones ------------------------------------------------------------------


@pytest.fixture
def template(pve: Client) -> Client:
    """Container 100 is a template, 200 its linked clone."""
    pve.post(CT + "/template")
    assert pve.finish(pve.post(CT + "/clone", newid=200)) == "OK"
    return pve


def test_a_linked_clone_names_its_base(template: Client) -> None:
    assert config(template)["rootfs"].startswith("thin:base-100-disk-0,")
    row = content(template, "thin")["thin:vm-200-disk-0"]
    assert (row["parent"], row["vmid"]) == ("base-100-disk-0", 200)


def test_a_base_with_linked_clones_cannot_go(template: Client) -> None:
    in_use = "base volume 'thin:base-100-disk-0' is still in use by linked clones"
    assert template.finish(template.delete(CT)) == in_use
    removed = template.delete("/nodes/pve/storage/thin/content/thin:base-100-disk-0")
    assert template.finish(removed) == in_use
    assert config(template)["template"] == 1
    assert "thin:base-100-disk-0" in content(template, "thin")


def test_a_base_can_go_after_its_last_linked_clone(template: Client) -> None:
    assert template.finish(template.delete(lxc("pve", 200))) == "OK"
    assert template.finish(template.delete(CT)) == "OK"
    assert content(template, "thin") == {}


def test_a_full_clone_does_not_hold_its_source(template: Client) -> None:
    template.finish(template.delete(lxc("pve", 200)))
    assert template.finish(template.post(CT + "/clone", newid=201, full=1)) == "OK"
    assert content(template, "thin")["thin:vm-201-disk-0"]["parent"] is None
    assert template.finish(template.delete(CT)) == "OK"
    assert power(template, "start", 201) == "OK"


def test_only_a_template_can_be_linked_to(pve: Client) -> None:
    refusal = (500, "Linked clone feature for 'thin:vm-100-disk-0' is not available")
    assert pve.post(CT + "/clone", newid=200, full=0).refusal == refusal


def test_a_directory_cannot_hold_a_linked_clone(pve: Client) -> None:
    create(pve, 101, rootfs="local:1")
    pve.post(lxc("pve", 101) + "/template")
    base = "local:101/base-101-disk-0.raw"
    refusal = (500, f"Linked clone feature for '{base}' is not available")
    assert pve.post(lxc("pve", 101) + "/clone", newid=200).refusal == refusal


def test_a_template_does_not_run_and_takes_no_snapshot(template: Client) -> None:
    assert power(template, "start") == "you can't start a CT if it's a template"
    assert snapshot(template, "s1") == "you can't take a snapshot if it's a template"
    refusal = (500, "you can't convert a template to a template")
    assert template.post(CT + "/template").refusal == refusal


def test_a_backup_of_a_template_comes_back_as_a_container(template: Client) -> None:
    assert backup(template) == "OK"
    (archive,) = content(template, "bak")
    said = template.post("/nodes/pve/lxc", vmid=300, ostemplate=archive, restore=1, storage="thin")
    assert template.finish(said) == "OK"
    assert "template" not in config(template, 300)
    assert power(template, "start", 300) == "OK"


# --- users who are not root -----------------------------------------------------------------------


@pytest.fixture
def member(pve: Client) -> Client:
    """A user who may do everything with the guests of pool ``ci``, and use two storages."""
    pve.post("/pools", poolid="ci")
    pve.post("/access/users", userid="ann@pve", password="secret123")
    for path, role in (
        ("/pool/ci", "PVEAdmin"),
        ("/storage/thin", "PVEDatastoreUser"),
        ("/storage/local", "PVEDatastoreUser"),
        ("/storage/bak", "PVEDatastoreUser"),
        ("/sdn/zones/localnetwork", "PVESDNUser"),
    ):
        pve.put("/access/acl", path=path, users="ann@pve", roles=role)
    return pve.as_user("ann@pve")


def test_a_member_makes_containers_in_the_pool_only(pve: Client, member: Client) -> None:
    params = {"vmid": 150, "ostemplate": TEMPLATE, "rootfs": "thin:1"}
    assert member.post("/nodes/pve/lxc", **params).status == 403
    assert member.finish(member.post("/nodes/pve/lxc", pool="ci", **params)) == "OK"
    assert [row["vmid"] for row in member.get("/nodes/pve/lxc").data] == [150]
    assert sorted(row["vmid"] for row in pve.get("/nodes/pve/lxc").data) == [100, 150]


def test_a_member_leads_a_container_through_its_life(member: Client) -> None:
    create(member, 150, pool="ci")
    one = lxc("pve", 150)
    assert power(member, "start", 150) == "OK"
    assert snapshot(member, "s1", 150) == "OK"
    assert member.put(one + "/snapshot/s1/config", description="mine").status == 200
    assert member.finish(member.put(one + "/resize", disk="rootfs", size="+1G")) == "OK"
    assert backup(member, 150) == "OK"
    assert power(member, "stop", 150) == "OK"
    assert member.finish(member.delete(one)) == "OK"


def test_a_member_is_kept_from_the_containers_of_others(member: Client) -> None:
    for path in ("/config", "/feature?feature=snapshot", "/snapshot", "/status/current"):
        assert member.get(CT + path).refusal == (
            403,
            "Permission check failed (/vms/100, VM.Audit)",
        )
    assert member.put(CT + "/resize", disk="rootfs", size="+1G").status == 403
    assert member.delete(CT).status == 403
    assert member.post(CT + "/termproxy").status == 403
