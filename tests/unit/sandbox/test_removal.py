"""A removal's steps: what stands in a guest's way, what is waited for, what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure, InvalidValue, LedgerUnusable, TaskFailed
from pytest_proxmox.sandbox.account import Account
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.inventory import (
    BACKUPS,
    DISKS,
    Inventory,
    Located,
    Volume,
    judges_as_done,
)
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import FILE_NAME, Ledger
from pytest_proxmox.sandbox.ownership import Identity, own_makers
from pytest_proxmox.sandbox.removal import UNPROVEN
from pytest_proxmox.sandbox.run import _start_by_ps
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.sandbox.sweep import collect
from pytest_proxmox.values import GuestRef, NodeName, Upid, Vmid, Volid
from tests.unit.sandbox.conftest import URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox, FakeVolume

REMEDY = "pct unlock 9000; pct stop 9000; pct destroy 9000 --purge"


def orders(proxmox: FakeProxmox, name: str) -> list[dict[str, Any]]:
    """What each call of a handler of the fake is told, from now on."""
    told: list[dict[str, Any]] = []
    handler = getattr(proxmox, name)

    def noting(*where: Any, **said: Any) -> Any:
        told.append(said)
        return handler(*where, **said)

    setattr(proxmox, name, noting)
    return told


# The guest ------------------------------------------------------------------------------------


def test_a_container_is_destroyed_with_its_jobs_and_disks(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    told = orders(proxmox, "delete")
    sandbox.lxc()
    sandbox.vm()

    assert sandbox.close() == []

    disks = {"purge": 1, "destroy-unreferenced-disks": 1}
    assert told == [disks, disks | {"force": 1}]


def test_the_disks_of_a_stranger_with_the_vmid_are_left_out(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    told = orders(proxmox, "delete")
    proxmox.keep_volumes = True
    sandbox.lxc()
    theirs = FakeVolume("local:9000/vm-9000-disk-7.raw", 9000, "images", 5)
    proxmox.volumes.append(theirs)

    sandbox.close()

    assert told == [{"purge": 1, "force": 1}]
    assert theirs in proxmox.volumes


def test_a_vms_stale_lock_is_skipped_by_root_for_stop_and_destroy(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    proxmox.user = "root@pam"
    sandbox = make_sandbox()
    guest = sandbox.vm(start=1)
    proxmox.guests[guest.vmid].lock = "backup"
    stops, destroys = orders(proxmox, "power"), orders(proxmox, "delete")

    assert sandbox.close() == []
    assert stops == [{"skiplock": 1}]
    assert destroys[0]["skiplock"] == 1


def test_a_guest_that_was_off_by_the_time_of_its_stop_is_destroyed(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc(start=1)
    proxmox.fail("POST", "status/stop", 500, "CT 9000 not running")
    proxmox.guests[9000].status = "half off"
    current = proxmox.current
    proxmox.current = lambda *where: current(*where) | {"status": "running"}  # type: ignore[method-assign]

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_stop_that_is_refused_keeps_the_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc(start=1)
    proxmox.fail("POST", "status/stop", 500, "something nobody has seen", times=9)

    (left,) = sandbox.close()

    assert "something nobody has seen" in left.reason
    assert left.what == "lxc/9000 on pve"
    assert left.command == REMEDY


def test_a_guest_that_ha_stops_late_is_waited_for(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    sandbox.lxc(start=1)
    began = clock.monotonic()
    seen: list[float] = []
    current = proxmox.current

    def late(*where: str) -> dict[str, Any]:
        seen.append(clock.monotonic() - began)
        shown = current(*where)
        return shown | {"status": "running"} if clock.monotonic() - began < 3 else shown

    proxmox.current = late  # type: ignore[method-assign, assignment]

    assert sandbox.close() == []
    assert seen[-1] == pytest.approx(3, abs=0.6)
    assert len(seen) == 8


def test_a_guest_that_does_not_stop_is_waited_for_a_minute_and_then_tried(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    sandbox.lxc(start=1)
    began = clock.monotonic()
    current = proxmox.current
    proxmox.current = lambda *where: current(*where) | {"status": "running"}  # type: ignore[method-assign]

    assert sandbox.close() == []
    assert clock.monotonic() - began == pytest.approx(60.5, abs=1.5)


def test_an_ha_that_fails_keeps_the_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc()
    proxmox.guests[9000].ha = 1
    proxmox.fail("DELETE", "cluster/ha", 500, "something nobody has seen", times=9)

    (left,) = sandbox.close()

    assert "something nobody has seen" in left.reason
    assert 9000 in proxmox.guests


@pytest.mark.parametrize(("kind", "sid"), [("lxc", "ct:9000"), ("vm", "vm:9000")])
def test_ha_calls_containers_and_vms_by_other_names(
    sandbox: Sandbox, proxmox: FakeProxmox, kind: str, sid: str
) -> None:
    (sandbox.lxc if kind == "lxc" else sandbox.vm)()
    proxmox.guests[9000].ha = 1

    assert sandbox.close() == []
    assert f"DELETE cluster/ha/resources/{sid}" in proxmox.calls


def test_passes_are_tried_with_growing_pauses(
    sandbox: Sandbox, proxmox: FakeProxmox, clock: ManualClock
) -> None:
    sandbox.lxc()
    proxmox.fail("DELETE", "lxc/9000$", 500, "CT is locked (backup)", times=9)
    began = clock.monotonic()

    (left,) = sandbox.close()

    assert clock.monotonic() - began == 0.5 + 2 + 5
    assert left.reason == "DELETE nodes/pve/lxc/9000: 500: CT is locked (backup)"


def test_a_destroys_failure_is_told_as_its_task_said_it(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc()
    proxmox.exit_statuses["vzdestroy"] = "something nobody has seen"

    (left,) = sandbox.close()

    assert left.reason == "something nobody has seen"


def test_a_stranger_who_takes_the_vmid_at_once_is_no_leftover(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    status = proxmox.task_status

    def quick(node: str, upid: str) -> dict[str, Any]:
        said = status(node, upid)
        if "vzdestroy" in upid and guest.vmid not in proxmox.guests:
            proxmox.plant(FakeGuest(guest.vmid, description="theirs"), maker="somebody@pam")
        return said

    proxmox.task_status = quick  # type: ignore[method-assign, assignment]

    assert sandbox.close() == []
    assert proxmox.guests[guest.vmid].description == "theirs"
    assert ledger.get(guest.lease.id).state is State.RELEASED


# Volumes --------------------------------------------------------------------------------------


def test_a_backup_that_does_not_go_keeps_its_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    volid = guest.backup()
    proxmox.fail("DELETE", "content/", 500, "something nobody has seen", times=99)

    backup, stays = sandbox.close()

    assert backup.what == f"backup {volid}"
    assert "something nobody has seen" in backup.reason
    assert backup.command == f"pvesm free {volid}"
    assert stays.reason == f"it stays for its backups: {volid}"
    assert guest.vmid in proxmox.guests
    assert sandbox.ledger.get(guest.lease.id).backups == (volid,)


def test_a_backup_that_is_gone_is_not_kept_in_mind(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    guest.backup()
    proxmox.exit_statuses["vzdestroy"] = "something nobody has seen"

    sandbox.close()

    assert ledger.get(guest.lease.id).backups == ()


def test_a_protected_backup_of_ours_goes_too(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    guest.backup()
    proxmox.volumes[-1].protected = 1

    assert sandbox.close() == []
    assert proxmox.volumes == []


def test_a_volume_of_unknown_age_is_named_with_its_command(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc()
    proxmox.volumes.append(FakeVolume("bak:backup/x.tar", 9000, "backup", None))

    (left,) = sandbox.close()

    assert (left.what, left.reason) == ("backup bak:backup/x.tar", UNPROVEN)
    assert left.command == "pvesm free bak:backup/x.tar"


def test_a_backup_of_a_gone_guest_that_is_not_shown_is_removed_by_its_name(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    """A weak token does not see the backups of a guest that is gone."""
    guest = sandbox.lxc()
    volid = guest.backup()
    proxmox.task_status("pve", proxmox.delete("pve", "lxc", "9000"))
    proxmox.content = lambda *_, **__: []  # type: ignore[method-assign]

    assert sandbox.close() == []
    assert f"DELETE nodes/pve/storage/bak/content/{volid}" in proxmox.calls
    assert proxmox.volumes == []


def test_a_warning_without_a_disk_says_what_the_destroy_said(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc()
    proxmox.exit_statuses["vzdestroy"] = "WARNINGS: 1"
    destroy = proxmox.delete

    def vanish(*where: str, **said: Any) -> str:
        upid = destroy(*where, **said)
        proxmox.guests.pop(9000)
        proxmox.volumes.clear()
        proxmox.tasks[-1].log = ["could not remove it", "TASK WARNINGS: 1"]
        return upid

    proxmox.delete = vanish  # type: ignore[method-assign]
    (left,) = sandbox.close()

    assert left.what == "something of lxc/9000 on pve"
    assert left.reason == ("its destroy said WARNINGS: 1; could not remove it; TASK WARNINGS: 1")


# Clones ---------------------------------------------------------------------------------------


def test_a_clone_whose_task_is_listed_under_its_source_is_ours(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    clone = sandbox.lxc().clone(description=None)
    proxmox.guests[clone.vmid].description = ""

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_clone_that_is_still_made_is_waited_for(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    vmid = sandbox.vmid()
    proxmox.plant(FakeGuest(100))
    upid = proxmox.clone("pve", "lxc", "100", vmid)

    assert sandbox.close() == []
    assert next(task for task in proxmox.tasks if task.upid == upid).status == "OK"
    assert list(proxmox.guests) == [100]


# Backups --------------------------------------------------------------------------------------


def test_a_backup_prunes_nothing_and_works_in_every_state(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    told = orders(proxmox, "vzdump")
    guest = sandbox.lxc()

    first = guest.backup()
    second = guest.backup(mode="snapshot", notes_template="x", storage="bak")

    assert first != second
    plain = {"vmid": 9000, "storage": "bak", "mode": "stop", "compress": "zstd", "remove": 0}
    assert told == [plain, plain | {"mode": "snapshot", "notes-template": "x"}]
    assert sandbox.ledger.get(guest.lease.id).backups == (first, second)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("OK", 'answered "OK" and made no backup of lxc/9000 on pve'),
        (None, "ended OK, but bak shows no new backup of lxc/9000 on pve"),
    ],
    ids=["no task", "no volume"],
)
def test_a_backup_that_is_none_is_an_error(
    sandbox: Sandbox, proxmox: FakeProxmox, answer: str | None, message: str
) -> None:
    guest = sandbox.lxc()
    if answer is None:
        proxmox.exit_statuses["vzdump"] = "OK"
    else:
        proxmox.vzdump = lambda *_, **__: answer  # type: ignore[method-assign]

    with pytest.raises(ApiFailure) as caught:
        guest.backup()

    assert caught.value.text == message
    assert caught.value.call == "POST nodes/pve/vzdump"
    assert (str(caught.value.kind), str(caught.value.code)) == ("permanent", "no-volume")


def test_a_backup_whose_task_fails_names_the_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.exit_statuses["vzdump"] = "job errors"

    with pytest.raises(TaskFailed, match="backup of lxc/9000 on pve"):
        guest.backup()


# The sweep's and the ledger's edges -----------------------------------------------------------


@pytest.mark.parametrize(
    ("ago_s", "waited_s"), [(0.0, 15.0), (14.5, 0.5), (15.0, 0.0)], ids=["now", "just", "long ago"]
)
def test_a_dead_processs_create_is_waited_for_as_long_as_a_request_lasts(
    make_sandbox: Callable[..., Sandbox],
    proxmox: FakeProxmox,
    ledger: Ledger,
    clock: ManualClock,
    ago_s: float,
    waited_s: float,
) -> None:
    dead = make_sandbox("dead")
    (lease,) = dead._lease(1, "sandbox")
    ledger.advance(lease, State.CREATING, kind="lxc", node="pve")
    ledger.sign_off(dead.run, URL)
    clock.advance(ago_s)
    began = clock.now()

    collect(proxmox, dead.facts, ledger, clock=clock)

    assert clock.now() - began == pytest.approx(waited_s)


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 0)], ids=["durable", "not"])
def test_each_write_is_on_disk_before_the_next_step_where_that_matters(
    tmp_path: Any, durable: bool, level: int
) -> None:
    with Ledger(tmp_path, durable=durable) as ledger:
        assert ledger._book.read("PRAGMA synchronous")[0][0] == level
        assert ledger._book.read("PRAGMA journal_mode")[0][0] == "wal"


def test_a_broken_file_is_named_by_reads_and_writes(tmp_path: Any) -> None:
    ledger = Ledger(tmp_path, durable=False)
    ledger.close()

    for do in (lambda: ledger.runs(URL), lambda: ledger.forget(URL)):
        with pytest.raises(LedgerUnusable) as caught:
            do()
        assert str(caught.value).startswith(f"the ledger {tmp_path / FILE_NAME} cannot be used: ")
        assert str(caught.value).endswith(
            ". It records what tests hold: repair or move it away only when no guests are left"
        )


def test_a_write_that_fails_is_taken_back(tmp_path: Any) -> None:
    with Ledger(tmp_path, durable=False) as ledger:

        def fail() -> None:
            with ledger._book.writing() as db:
                db.execute("INSERT INTO used VALUES ('x', 1, 1)")
                raise OSError("no")

        with pytest.raises(OSError, match="no"):
            fail()
        assert ledger._book.read("SELECT * FROM used") == []


# What is read off the target ------------------------------------------------------------------


def test_tasks_that_nobody_can_read_are_passed_over(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    listed = proxmox.node_tasks
    proxmox.node_tasks = lambda node, **wanted: [  # type: ignore[method-assign]
        {"upid": "UPID:of:a:future:PVE", "status": "OK"},
        *listed(node, **wanted),
    ]

    rows = Inventory(sandbox.calls).tasks(guest.node, guest.vmid)

    assert [row.upid.type for row in rows] == ["vzcreate"]


@pytest.mark.parametrize("what", ["nextid", "pools"])
def test_another_error_is_no_answer(sandbox: Sandbox, proxmox: FakeProxmox, what: str) -> None:
    inventory = Inventory(sandbox.calls)
    proxmox.fail("GET", f"{what}$", 401, "no ticket", times=9)

    with pytest.raises(ApiFailure, match="no ticket"):
        inventory.is_free(Vmid(9000)) if what == "nextid" else inventory.members("pytest")


def test_storages_are_those_that_are_active_and_hold_the_content(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    asked: list[dict[str, Any]] = []

    def storages(_node: str, **wanted: Any) -> list[dict[str, Any]]:
        asked.append(wanted)
        return [
            {"storage": "b", "content": "iso,images", "active": 1},
            {"storage": "a", "content": "rootdir", "active": 1},
            {"storage": "off", "content": "images", "active": 0},
            {"storage": "odd", "active": 1},
            {"storage": "iso", "content": "iso", "active": 1},
        ]

    proxmox.storages = storages  # type: ignore[method-assign]
    inventory = Inventory(sandbox.calls)

    assert inventory.storages(NodeName("pve"), DISKS) == ["a", "b"]
    assert inventory.storages(NodeName("pve"), BACKUPS) == []
    assert asked == [{"enabled": 1}]


def test_a_volume_is_read_with_all_that_is_told_of_it(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    proxmox.volumes = [
        FakeVolume("local:9000/vm-9000-disk-0.raw", 9000, "rootdir", 7, 1),
        FakeVolume("local:9001/vm-9001-disk-0.raw", 9001, "images", None),
        FakeVolume("local:iso/x.iso", None, "images", 7),  # type: ignore[arg-type]
    ]
    node = NodeName("pve")

    one, two = Inventory(sandbox.calls).volumes(node, DISKS)

    volid = Volid.parse("local:9000/vm-9000-disk-0.raw")
    assert one == Volume(volid, node, Vmid(9000), "rootdir", 7, is_protected=True)
    assert (two.vmid, two.ctime, two.is_protected) == (9001, None, False)
    assert Inventory(sandbox.calls).volumes(node, DISKS, Vmid(9001)) == [two]


def test_only_nodes_that_are_online_are_asked(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    proxmox.nodes_list = lambda: [  # type: ignore[method-assign]
        {"node": "two", "status": "online"},
        {"node": "one", "status": "online"},
        {"node": "off", "status": "offline"},
        {"node": "odd"},
    ]

    assert Inventory(sandbox.calls).nodes() == ["one", "two"]


def test_a_guest_is_located_until_the_list_is_read_again(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    proxmox.plant(FakeGuest(9000, "qemu", pool="p"))
    inventory = Inventory(sandbox.calls)
    ref = GuestRef(Vmid(9000), "qemu", NodeName("pve"))

    assert inventory.locate(Vmid(9000)) == Located(ref, "p", is_template=False)
    proxmox.guests.clear()
    assert inventory.locate(Vmid(9000)) is not None
    inventory.refresh()
    assert inventory.locate(Vmid(9000)) is None


def test_warnings_are_no_failure_of_a_task() -> None:
    said = {text: judges_as_done(text) for text in ("OK", "WARNINGS: 1", "job errors", "OK then")}

    assert said == {"OK": True, "WARNINGS: 1": True, "job errors": False, "OK then": False}


# What an app made -----------------------------------------------------------------------------


def test_what_is_not_ours_is_named_as_the_target_has_it(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    proxmox.plant(FakeGuest(sandbox.vmid(), "qemu"), maker="root@pam")

    (left,) = sandbox.close()

    assert left.what == "qemu/9000 on pve"
    assert left.reason.startswith("not proven ours, so it was left alone: ")


def test_what_an_app_made_and_does_not_go_is_known_from_then_on(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.nodes = ("pve", "two")
    sandbox = make_sandbox()
    proxmox.plant(FakeGuest(sandbox.vmid(), "qemu", "two", lock="backup"), maker=proxmox.user)

    sandbox.close()

    (lease,) = ledger.leases(URL)
    assert (lease.kind, lease.node) == ("qemu", "two")
    (left,) = lease.leftovers
    assert left.command == "qm unlock 9000; qm stop 9000; qm destroy 9000 --purge"


def test_a_vmid_that_stays_taken_is_a_leftover(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc()
    taken = proxmox.error(400, "VM 9000 already exists")

    def nextid(vmid: int) -> str:
        raise taken

    proxmox.nextid = nextid  # type: ignore[method-assign]
    proxmox.guests.clear()
    proxmox.volumes.clear()
    proxmox.user = "root@pam"

    (left,) = sandbox.close()

    assert "the VMID is taken, but" in left.reason


@pytest.mark.parametrize(
    ("config", "name"),
    [({"hostname": "web"}, "web"), ({"name": "db"}, "db"), ({}, "")],
    ids=["container", "VM", "nameless"],
)
def test_an_adopted_guest_has_the_name_that_it_shows(
    sandbox: Sandbox, proxmox: FakeProxmox, config: dict[str, Any], name: str
) -> None:
    proxmox.plant(FakeGuest(9007), maker=proxmox.user)
    proxmox.config = lambda *_: config  # type: ignore[method-assign]

    guest = sandbox.adopt(9007, "pve")

    assert guest.name == name
    lease = sandbox.ledger.get(guest.lease.id)
    assert (lease.state, lease.kind, lease.node) == (State.LIVE, "lxc", "pve")


def test_a_guest_is_adopted_by_names_that_can_be(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidValue, match="adopt"):
        sandbox.adopt(9007, "no node!")
    with pytest.raises(InvalidValue, match="adopt"):
        sandbox.adopt("no number", "pve")
    guest = sandbox.adopt(9007, "two", kind="qemu")
    assert (guest.name, guest.kind, guest.node) == ("guest 9007", "qemu", "two")
    assert (guest.lease.kind, guest.lease.node) == ("qemu", "two")


def test_a_run_looks_round_once(make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox) -> None:
    first = make_sandbox(worker="gw0")
    proxmox.calls.clear()

    second = make_sandbox(worker="gw1")

    assert proxmox.calls == []
    assert first.identity() == second.identity()
    assert (first.identity().run, first.identity().user) == ("run-1", proxmox.user)


def test_our_tasks_are_in_the_order_of_their_starts() -> None:
    def task(pid: int, start: int) -> Upid:
        return Upid(NodeName("pve"), pid, pid, start, "vzcreate", "9000", "us")

    us = Identity("us", "run", Baseline.of({NodeName("pve"): []}))
    late, early, same = task(1, 7), task(9, 5), task(3, 7)

    assert own_makers([late, same, early], us) == [early, late, same]


def test_an_account_names_kinds_and_counts() -> None:
    def said(*made: Any, left: int = 0) -> str:
        return str(Account("https://pve", made, left))

    assert said() == "nothing made on https://pve, all removed"
    assert said(("lxc", 1)) == "1 container made on https://pve, all removed"
    assert (
        said(("lxc", 2), ("qemu", 1), left=3)
        == "2 containers and 1 VM made on https://pve, 3 not removed"
    )
    assert said(("qemu", 2)) == "2 VMs made on https://pve, all removed"


@pytest.mark.parametrize(
    ("script", "expected"),
    [("echo Mon Jan 1; echo $@ >&2", "Mon Jan 1"), ("exit 1", None), ("echo", None)],
    ids=["there", "not there", "nothing said"],
)
def test_without_proc_a_processs_birth_is_asked_of_ps(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, script: str, expected: str | None
) -> None:
    path = tmp_path / "ps"
    path.write_text(f'#!/bin/sh\n[ "$*" = "-o lstart= -p 7" ] || exit 2\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert _start_by_ps(7) == expected
