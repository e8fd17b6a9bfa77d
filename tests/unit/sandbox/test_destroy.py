"""The destroyer: each step that can fail, and what the ledger says afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.sandbox import Sandbox
from tests.unit.sandbox.conftest import URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox, FakeVolume


def state(ledger: Ledger, guest: Guest) -> State:
    """What the ledger says about the guest's lease."""
    return ledger.get(guest.lease.id).state


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "cluster/resources"),
        ("GET", "nodes/pve/tasks$"),
        ("GET", "lxc/9000/config"),
        ("GET", "lxc/9000/status/current"),
        ("POST", "lxc/9000/status/stop"),
        ("GET", "vzstop.*/status"),
        ("GET", "nodes/pve/storage$"),
        ("GET", "storage/bak/content"),
        ("DELETE", "storage/bak/content"),
        ("GET", "imgdel.*/status"),
        ("DELETE", "lxc/9000$"),
        ("GET", "vzdestroy.*/status"),
        ("GET", "storage/local/content"),
        ("GET", "cluster/nextid"),
    ],
    ids=lambda value: str(value).replace("/", " "),
)
@pytest.mark.parametrize(
    "fault", ["refused", "lost before", "lost after", "hop broken", "once locked"]
)
def test_a_fault_at_any_call_leaves_nothing_or_a_dirty_lease(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger, method: str, path: str, fault: str
) -> None:
    guest = sandbox.lxc(start=1)
    guest.backup()
    if fault.startswith("lost"):
        proxmox.lose(method, path, after=fault == "lost after")
    elif fault == "refused":
        proxmox.fail(method, path, 403, "Permission check failed", times=9)
    elif fault == "hop broken":
        proxmox.fail(method, path, 596, "Connection timed out")
    else:
        proxmox.fail(method, path, 500, "can't lock file '/run/lock/x' - got timeout")

    leftovers = sandbox.close()

    if leftovers:
        assert state(ledger, guest) is State.DIRTY
        assert leftovers == list(ledger.get(guest.lease.id).leftovers)
        proxmox.faults.clear()
        assert sandbox.close() == []
    assert (proxmox.guests, proxmox.volumes) == ({}, [])
    assert state(ledger, guest) is State.RELEASED


@pytest.mark.parametrize("fault", ["lost before", "lost after", "hop broken", "once locked"])
def test_a_passing_fault_on_the_delete_is_got_over(
    sandbox: Sandbox, proxmox: FakeProxmox, fault: str
) -> None:
    sandbox.lxc()
    if fault.startswith("lost"):
        proxmox.lose("DELETE", "lxc/9000$", after=fault == "lost after")
    elif fault == "hop broken":
        proxmox.fail("DELETE", "lxc/9000$", 596, "Broken pipe")
    else:
        proxmox.fail("DELETE", "lxc/9000$", 500, "CT is locked (disk)")

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_protection_of_our_own_guest_is_cleared(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc()
    proxmox.guests[9000].protection = 1

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_guest_leaves_ha_before_it_is_stopped(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc(start=1)
    proxmox.guests[9000].ha = 1

    assert sandbox.close() == []
    left = proxmox.calls.index("DELETE cluster/ha/resources/ct:9000")
    assert left < proxmox.calls.index("POST nodes/pve/lxc/9000/status/stop")


def test_ha_that_the_token_may_not_touch_is_left_to_purge(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc(start=1)
    proxmox.guests[9000].ha = 1
    proxmox.fail("DELETE", "cluster/ha", 403, "Permission check failed (/, Sys.Console)")

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_stale_lock_of_a_container_is_reported_with_the_command(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    proxmox.guests[9000].lock = "snapshot"

    (leftover,) = sandbox.close()

    assert leftover.what == "lxc/9000 on pve"
    assert leftover.command == "pct unlock 9000; pct stop 9000; pct destroy 9000 --purge"
    assert state(ledger, guest) is State.DIRTY


@pytest.mark.parametrize(("user", "goes"), [("root@pam", True), ("pt@pve!ci", False)])
def test_a_stale_lock_of_a_vm_is_skipped_by_a_root_ticket_only(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox, user: str, *, goes: bool
) -> None:
    proxmox.user = user
    sandbox = make_sandbox()
    sandbox.vm()
    proxmox.guests[9000].lock = "backup"

    assert (sandbox.close() == []) is goes


def test_a_live_task_is_waited_for(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.guests[9000].lock = "backup"

    def finish() -> str:
        proxmox.guests[9000].lock = None
        return "OK"

    task = proxmox._start("pve", "vzdump", "9000", finish, user="")

    assert sandbox.close() == []
    assert task.status == "OK"
    assert guest.vmid not in proxmox.guests


def test_a_task_that_never_ends_is_stopped(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.lxc()
    task = proxmox._start("pve", "vzdump", "9000", lambda: "OK")
    task.effect = None

    assert sandbox.close() == []
    assert task.status == "interrupted by signal"


def test_a_warning_on_destroy_is_a_leak_until_the_disk_is_gone(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    sandbox.lxc()
    proxmox.keep_volumes = True

    assert sandbox.close() == []
    assert proxmox.volumes == []
    assert any("storage/local/content/local:9000" in call for call in proxmox.calls)


def test_a_warning_without_a_visible_disk_is_reported(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    proxmox.keep_volumes = True
    proxmox.volumes.clear()

    (leftover,) = sandbox.close()

    assert "WARNINGS: 1" in leftover.reason
    assert state(ledger, guest) is State.DIRTY


def test_a_disk_that_cannot_be_removed_is_reported(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    proxmox.keep_volumes = True
    proxmox.fail("DELETE", "storage/local/content", 500, "storage 'local' is not online", times=9)

    (leftover,) = sandbox.close()

    assert leftover.what == "disk local:9000/vm-9000-disk-0.raw"
    assert leftover.command == "pvesm free local:9000/vm-9000-disk-0.raw"
    assert state(ledger, guest) is State.DIRTY


def test_volumes_from_before_the_guest_are_somebody_elses(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    old = FakeVolume("bak:backup/vzdump-lxc-9000-old.tar", 9000, "backup", 5)
    sandbox.lxc()
    proxmox.volumes.append(old)

    assert sandbox.close() == []
    assert proxmox.volumes == [old]


def test_a_volume_of_unknown_age_is_reported_and_stays(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    ageless = FakeVolume("bak:backup/vzdump-lxc-9000-x.tar", 9000, "backup", None)
    sandbox.lxc()
    proxmox.volumes.append(ageless)

    (leftover,) = sandbox.close()

    assert "it may be somebody else's" in leftover.reason
    assert proxmox.volumes == [ageless]
    assert proxmox.guests == {}


def test_a_backup_of_a_guest_that_the_test_destroyed_goes_too(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    guest = sandbox.lxc()
    guest.backup()
    proxmox.task_status("pve", proxmox.delete("pve", "lxc", "9000"))

    assert sandbox.close() == []
    assert proxmox.volumes == []


def test_a_guest_that_moved_to_another_node_is_found(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    proxmox.nodes = ("pve", "pve2")
    sandbox = make_sandbox()
    sandbox.lxc()
    proxmox.guests[9000].node = "pve2"

    assert sandbox.close() == []
    assert "DELETE nodes/pve2/lxc/9000" in proxmox.calls


def test_a_guest_that_was_replaced_by_a_strangers_stays(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    proxmox.guests.clear()
    proxmox.plant(FakeGuest(9000, description="theirs"), maker="root@pam")
    proxmox.user = "root@pam"  # so that we see whose task it was

    (leftover,) = sandbox.close()

    assert "not proven ours" in leftover.reason
    assert proxmox.guests[9000].description == "theirs"
    assert state(ledger, guest) is State.DIRTY


def test_a_half_made_guest_that_a_token_cannot_see_is_waited_for(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    """With a pool, such a token sees its guest only when the create has ended."""
    vmid = sandbox.vmid()
    proxmox.hidden.add(vmid)
    upid = proxmox.create("pve", "lxc", vmid)
    task = next(task for task in proxmox.tasks if task.upid == upid)
    finish = task.effect

    def appear() -> str:
        proxmox.hidden.discard(vmid)
        return finish() if finish is not None else "OK"

    task.effect = appear

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_guest_that_we_may_not_see_is_not_touched(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    vmid = sandbox.vmid()
    proxmox.plant(FakeGuest(vmid))
    proxmox.hidden.add(vmid)

    (leftover,) = sandbox.close()

    assert "may not see" in leftover.reason
    assert vmid in proxmox.guests
    assert ledger.leases(URL)[0].state is State.DIRTY


def test_a_crash_inside_the_destroy_is_taken_over(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc(start=1)
    ledger.advance(guest.lease, State.DESTROYING)  # written, and then the process died

    assert sandbox.sweep_run() == []
    assert proxmox.guests == {}
    assert state(ledger, guest) is State.RELEASED


def test_an_error_of_our_own_does_not_keep_the_others(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    sandbox.lxc()
    broken = sandbox.lxc()
    sandbox.lxc()
    proxmox.guests[9001].protection = "yes"  # type: ignore[assignment]

    def refuse(*_: object, **__: object) -> None:
        raise KeyError("a mistake in our code")

    proxmox.config_put = refuse  # type: ignore[method-assign]
    (leftover,) = sandbox.close()

    assert "KeyError" in leftover.reason
    assert list(proxmox.guests) == [broken.vmid]
    assert state(ledger, broken) is State.DIRTY


def test_two_sweeps_at_once_agree(sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger) -> None:
    """The other one is done with the guest between our look and our verdict."""
    guest = sandbox.lxc()
    nextid = proxmox.nextid

    def overtaken(vmid: int) -> str:
        ledger.advance(guest.lease, State.RELEASED)
        return nextid(vmid)

    proxmox.nextid = overtaken  # type: ignore[method-assign]

    assert sandbox.close() == []
    assert state(ledger, guest) is State.RELEASED
    assert sandbox.destroyer().destroy(guest.lease) == ()
