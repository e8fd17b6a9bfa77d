"""Backups of containers, what a retention keeps of them, and their return (golden 07 and 14)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_proxmox.simulator.state import Volume

from .client import Client
from .container_room import backup, config, content, create, login, lxc, power, status

HERE = "/nodes/pve/storage/bak"
PRUNE = HERE + "/prunebackups"
HOUR = 3600


@pytest.fixture
def pve() -> Client:
    """Root on a node where container 100 stands."""
    client = login()
    create(client, description="orig", net0="name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02")
    return client


def restore(pve: Client, vmid: int, archive: str, **params: Any) -> str:
    given = {"storage": "thin", "restore": 1} | params
    return pve.finish(pve.post("/nodes/pve/lxc", vmid=vmid, ostemplate=archive, **given))


def archives(pve: Client) -> list[str]:
    return list(content(pve, "bak"))


# --- making them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [("0", "tar"), ("1", "tar.lzo"), ("gzip", "tar.gz"), ("lzo", "tar.lzo"), ("zstd", "tar.zst")],
)
def test_an_archive_is_named_after_guest_time_and_compression(
    pve: Client, compress: str, suffix: str
) -> None:
    assert backup(pve, compress=compress) == "OK"
    (name,) = archives(pve)
    row = content(pve, "bak")[name]
    began = datetime.datetime.fromtimestamp(row["ctime"], datetime.UTC)
    assert name == f"bak:backup/vzdump-lxc-100-{began:%Y_%m_%d-%H_%M_%S}.{suffix}"
    assert (row["vmid"], row["subtype"], row["format"]) == (100, "lxc", suffix)


def test_notes_and_protection_come_from_the_request(pve: Client) -> None:
    notes: Any = {"notes-template": "{{guestname}} on {{node}}"}
    assert backup(pve, protected=1, **notes) == "OK"
    (row,) = content(pve, "bak").values()
    assert (row["notes"], row["protected"]) == ("ct100 on pve", 1)


def test_one_guest_that_is_missing_makes_the_job_fail_but_not_the_others(pve: Client) -> None:
    said = pve.post("/nodes/pve/vzdump", vmid="100,4999", storage="bak")
    assert pve.finish(said) == "job errors"
    assert "ERROR: Backup of VM 4999 failed - unable to find VM '4999'" in pve.log(said.data)
    assert len(archives(pve)) == 1
    assert "lock" not in config(pve)


def test_all_guests_but_the_excluded_are_backed_up(pve: Client) -> None:
    create(pve, 101)
    create(pve, 102)
    said = pve.post("/nodes/pve/vzdump", all=1, exclude="101", storage="bak")
    assert pve.finish(said) == "OK"
    assert {row["vmid"] for row in content(pve, "bak").values()} == {100, 102}


def test_a_pool_is_backed_up_whole(pve: Client) -> None:
    pve.post("/pools", poolid="ci")
    create(pve, 101, pool="ci")
    assert pve.finish(pve.post("/nodes/pve/vzdump", pool="ci", storage="bak")) == "OK"
    assert {row["vmid"] for row in content(pve, "bak").values()} == {101}
    missing = pve.post("/nodes/pve/vzdump", pool="no", storage="bak")
    assert missing.refusal == (500, "pool 'no' does not exist")


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({}, {"vmid": "property is missing"}),
        ({"vmid": 100, "all": 1}, {"all": "option conflicts with option 'vmid'"}),
    ],
    ids=["nothing", "both"],
)
def test_a_job_must_say_whom(pve: Client, params: dict[str, Any], errors: dict[str, str]) -> None:
    said = pve.post("/nodes/pve/vzdump", storage="bak", **params)
    assert (said.status, said.errors) == (400, errors)


def test_a_storage_that_takes_no_backups_fails_the_task(pve: Client) -> None:
    text = "can't use storage 'thin' for backups - wrong content type"
    ending = backup(pve, storage="thin")
    assert ending == f"could not get storage information for 'thin': {text}"
    assert archives(pve) == []


def test_a_storage_of_another_node_takes_no_backup_here(cluster: Client) -> None:
    there = {"storage": "far", "type": "dir", "path": "/far", "content": "backup"}
    cluster.post("/storage", nodes="pve2", **there)
    create(cluster, node="pve1", rootfs="local-lvm:1")
    ending = backup(cluster, node="pve1", storage="far")
    assert "storage 'far' is not available on node 'pve1'" in ending
    assert "lock" not in config(cluster, node="pve1")


def test_a_mount_point_is_backed_up_only_if_it_says_so(pve: Client) -> None:
    pve.put(lxc("pve", 100) + "/config", mp0="thin:1,mp=/a,backup=1", mp1="thin:1,mp=/b")
    backup(pve)
    assert restore(pve, 200, archives(pve)[0]) == "OK"
    found = config(pve, 200)
    assert "mp=/a" in found["mp0"]
    assert "mp1" not in found


def test_the_guest_is_locked_while_it_is_backed_up(pve: Client) -> None:
    said = pve.post("/nodes/pve/vzdump", vmid=100, storage="bak", bwlimit=1)
    assert config(pve)["lock"] == "backup"
    assert pve.delete(lxc("pve", 100)).refusal == (500, "CT is locked (backup)")
    assert pve.finish(said) == "OK"
    assert "lock" not in config(pve)


def test_a_backup_that_is_stopped_leaves_no_archive_and_no_lock(pve: Client) -> None:
    said = pve.post("/nodes/pve/vzdump", vmid=100, storage="bak", bwlimit=1)
    pve.delete(f"/nodes/pve/tasks/{quote(said.data, safe='')}")
    pve.finish(said)
    assert archives(pve) == []
    assert "lock" not in config(pve)


def test_the_defaults_of_a_backup_can_be_read(pve: Client) -> None:
    found = pve.get("/nodes/pve/vzdump/defaults").data
    assert (found["mode"], found["compress"], found["remove"]) == ("snapshot", "0", 1)
    pve.put("/storage/bak", **{"prune-backups": "keep-last=2"})
    of_storage = pve.get("/nodes/pve/vzdump/defaults", storage="bak").data
    assert of_storage["prune-backups"] == "keep-last=2"
    assert of_storage["dumpdir"] == "/srv/bak/dump"
    missing = pve.get("/nodes/pve/vzdump/defaults", storage="no")
    assert missing.refusal == (500, "storage 'no' does not exist")


# --- coming back ----------------------------------------------------------------------------------


def test_what_was_put_into_a_container_comes_back(pve: Client) -> None:
    files = {"/var/lib/app/data.json": '{"rows": 3}'}
    pve.sim.plant(vmid=777, files=files, config={"rootfs": "thin:vm-777-disk-0,size=1G"})
    assert backup(pve, 777) == "OK"
    (archive,) = archives(pve)
    assert pve.finish(pve.delete(lxc("pve", 777))) == "OK"
    assert content(pve, "thin", vmid=777) == {}
    assert restore(pve, 777, archive) == "OK"
    (volume,) = pve.sim.volumes.of_guest(777, "pve")
    assert volume.data["files"] == files


def test_a_restored_container_is_as_it_was(pve: Client) -> None:
    before = config(pve)
    backup(pve)
    pve.finish(pve.delete(lxc("pve", 100)))
    assert restore(pve, 100, archives(pve)[0]) == "OK"
    after = config(pve)
    assert {k: v for k, v in after.items() if k != "digest"} == {
        k: v for k, v in before.items() if k != "digest"
    }


def test_a_copy_can_have_its_own_address_name_and_memory(pve: Client) -> None:
    backup(pve)
    (archive,) = archives(pve)
    assert restore(pve, 200, archive, unique=1, hostname="copy", memory=99, start=1) == "OK"
    found = config(pve, 200)
    assert (found["hostname"], found["memory"]) == ("copy", 99)
    assert "BC:24:11:00:00:02" not in found["net0"]
    assert found["description"] == "orig\n"
    assert status(pve, 200) == "running"


def test_a_restore_over_a_container_replaces_its_disk(pve: Client) -> None:
    backup(pve)
    (archive,) = archives(pve)
    pve.put(lxc("pve", 100) + "/config", memory=99)
    assert restore(pve, 100, archive, force=1) == "OK"
    assert config(pve)["memory"] == 512
    assert list(content(pve, "thin")) == ["thin:vm-100-disk-1"]


def test_a_restore_over_what_must_stay_is_refused(pve: Client) -> None:
    backup(pve)
    (archive,) = archives(pve)
    params = {"vmid": 100, "ostemplate": archive, "restore": 1, "storage": "thin"}
    taken = pve.post("/nodes/pve/lxc", **params)
    assert taken.refusal == (500, "CT 100 already exists on node 'pve'")
    power(pve, "start")
    running = pve.post("/nodes/pve/lxc", force=1, **params)
    assert running.refusal == (500, "can't overwrite running container")
    power(pve, "stop")
    pve.put(lxc("pve", 100) + "/config", protection=1)
    protected = pve.post("/nodes/pve/lxc", force=1, **params)
    assert protected.refusal == (500, "unable to restore CT 100 - protection mode enabled")


def test_a_restore_of_nothing_leaves_nothing_behind(pve: Client) -> None:
    missing = "bak:backup/vzdump-lxc-400-2020_01_01-00_00_00.tar"
    text = f"unable to restore CT 200 - volume '{missing}' does not exist"
    assert restore(pve, 200, missing) == text
    assert pve.get(lxc("pve", 200) + "/config").status == 500
    assert content(pve, "thin", vmid=200) == {}


def test_a_template_is_no_backup_and_a_backup_no_template(pve: Client) -> None:
    backup(pve)
    (archive,) = archives(pve)
    said = pve.post("/nodes/pve/lxc", vmid=200, ostemplate=archive, rootfs="thin:1")
    text = f"unable to use volume {archive} - content type needs to be 'vztmpl'"
    assert said.refusal == (500, text)


# --- what a retention keeps -----------------------------------------------------------------------


def put_archive(pve: Client, vmid: int, moment: int, *, protected: bool = False) -> str:
    """Put an archive of a guest onto the storage, as it was made at that moment."""
    stamp = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    volid = f"bak:backup/vzdump-lxc-{vmid}-{stamp:%Y_%m_%d-%H_%M_%S}.tar"
    volume = Volume(volid, "pve", "backup", "tar", 10, 10, vmid, moment)
    pve.sim.volumes.put(replace(volume, protected=protected))
    return volid


def marks(pve: Client, rules: str, **params: Any) -> dict[str, str]:
    said = pve.get(PRUNE, **{"prune-backups": rules}, **params)
    return {row["volid"]: row["mark"] for row in said.data}


def test_a_preview_removes_nothing_and_a_prune_what_it_said(pve: Client) -> None:
    old, middle, new = (put_archive(pve, 100, hour * HOUR) for hour in (1, 2, 3))
    expected = {old: "remove", middle: "keep", new: "keep"}
    assert marks(pve, "keep-last=2") == expected
    assert set(archives(pve)) == {old, middle, new}
    said = pve.delete(PRUNE, **{"prune-backups": "keep-last=2"})
    assert pve.finish(said) == "OK"
    assert set(archives(pve)) == {middle, new}


def test_each_guest_has_its_own_count(pve: Client) -> None:
    ours = put_archive(pve, 100, HOUR)
    theirs = put_archive(pve, 101, HOUR)
    assert marks(pve, "keep-last=1") == {ours: "keep", theirs: "keep"}
    assert marks(pve, "keep-last=1", vmid=101) == {theirs: "keep"}
    assert marks(pve, "keep-last=1", type="qemu") == {}


def test_a_protected_backup_is_not_counted(pve: Client) -> None:
    kept = put_archive(pve, 100, HOUR)
    safe = put_archive(pve, 100, 2 * HOUR, protected=True)
    assert marks(pve, "keep-last=1") == {kept: "keep", safe: "protected"}


def test_a_storages_own_retention_holds_where_the_request_has_none(pve: Client) -> None:
    old, new = (put_archive(pve, 100, hour * HOUR) for hour in (1, 2))
    found = {row["volid"]: row["mark"] for row in pve.get(PRUNE).data}
    assert found == {old: "keep", new: "keep"}
    pve.put("/storage/bak", **{"prune-backups": "keep-last=1"})
    found = {row["volid"]: row["mark"] for row in pve.get(PRUNE).data}
    assert found == {old: "remove", new: "keep"}


def test_a_backup_prunes_its_own_guest_unless_told_not_to(pve: Client) -> None:
    pve.put("/storage/bak", **{"prune-backups": "keep-last=1"})
    put_archive(pve, 101, HOUR)
    put_archive(pve, 101, 2 * HOUR)
    backup(pve)
    backup(pve, remove=0)
    assert len(content(pve, "bak", vmid=100)) == 2
    backup(pve)
    assert len(content(pve, "bak", vmid=100)) == 1
    assert len(content(pve, "bak", vmid=101)) == 2


def test_pruning_all_needs_the_storage_and_pruning_one_its_guest(pve: Client) -> None:
    old = put_archive(pve, 100, HOUR)
    put_archive(pve, 100, 2 * HOUR)
    pve.post("/access/users", userid="ann@pve", password="secret123")
    pve.put("/access/acl", path="/storage/bak", users="ann@pve", roles="PVEDatastoreUser")
    ann = pve.as_user("ann@pve")
    rules = {"prune-backups": "keep-last=1"}
    assert ann.delete(PRUNE, **rules).status == 403
    refusal = (403, "Permission check failed (/vms/100, VM.Backup)")
    assert ann.delete(PRUNE, vmid=100, **rules).refusal == refusal
    pve.put("/access/acl", path="/vms/100", users="ann@pve", roles="PVEVMAdmin")
    said = ann.delete(PRUNE, vmid=100, **rules)
    assert ":prunebackups:100@bak:ann@pve:" in said.data
    assert ann.finish(said) == "OK"
    assert old not in archives(pve)


def _hour(t: datetime.datetime) -> Any:
    return (t.date(), t.hour)


def _week(t: datetime.datetime) -> Any:
    return t.isocalendar()[:2]


PERIODS: dict[str, Callable[[datetime.datetime], Any]] = {
    "keep-hourly": _hour,
    "keep-daily": datetime.datetime.date,
    "keep-weekly": _week,
    "keep-monthly": lambda t: (t.year, t.month),
    "keep-yearly": lambda t: t.year,
}


def expected(moments: list[int], rules: dict[str, int]) -> dict[int, str]:
    """Return what the documentation says: rule after rule, each on what is older and open still."""
    found: dict[int, str] = {}
    newest_first = sorted(moments, reverse=True)
    for moment in newest_first[: rules.get("keep-last", 0)]:
        found[moment] = "keep"
    for rule, period in PERIODS.items():

        def which(moment: int, period: Callable[[datetime.datetime], Any] = period) -> Any:
            return period(datetime.datetime.fromtimestamp(moment, datetime.UTC))

        taken = {which(moment) for moment, mark in found.items() if mark == "keep"}
        still_open = [m for m in newest_first if m not in found and which(m) not in taken]
        groups = [list(group) for _, group in groupby(still_open, which)]
        for newest, *others in groups[: rules.get(rule, 0)]:
            found[newest] = "keep"
            found |= dict.fromkeys(others, "remove")
    return dict.fromkeys(moments, "remove") | found


MOMENTS = st.lists(
    st.integers(0, 3 * 365 * 24).map(lambda hours: 1_700_000_000 + hours * HOUR // 2),
    unique=True,
    max_size=25,
)
RULES = st.dictionaries(
    st.sampled_from(["keep-last", *PERIODS]), st.integers(1, 4), min_size=1, max_size=4
)


@settings(max_examples=150)
@given(moments=MOMENTS, rules=RULES)
def test_a_retention_keeps_what_the_documentation_says(
    moments: list[int], rules: dict[str, int]
) -> None:
    pve = login()
    by_volid = {put_archive(pve, 100, moment): moment for moment in moments}
    text = ",".join(f"{rule}={count}" for rule, count in rules.items())
    found = {by_volid[volid]: mark for volid, mark in marks(pve, text).items()}
    assert found == expected(moments, rules)
    assert pve.finish(pve.delete(PRUNE, **{"prune-backups": text})) == "OK"
    left = {by_volid[volid] for volid in archives(pve)}
    assert left == {moment for moment, mark in found.items() if mark == "keep"}
