"""Sandboxes: claim, create, wait, use, release; a failure at each of these steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_proxmox.errors import (
    ApiFailure,
    ForeignGuest,
    LeaseError,
    LeftoversRemain,
    RangeExhausted,
    TaskFailed,
)
from pytest_proxmox.sandbox.lease import State
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.failures import Code
from pytest_proxmox.values import VmidRange
from tests.unit.sandbox.conftest import URL
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox, FakeVolume


def states(ledger: Ledger) -> list[tuple[int, str]]:
    """Every lease of the target, held or not."""
    rows = ledger.leases(URL, states=tuple(State))
    return [(int(lease.vmid), str(lease.state)) for lease in rows]


def test_a_container_is_made_marked_and_removed(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()

    mark = f"pytest-proxmox lease {guest.lease.id} run run-1"
    assert proxmox.guests[guest.vmid].description == mark
    assert states(ledger) == [(9000, "live")]
    assert sandbox.close() == []
    assert (proxmox.guests, proxmox.volumes) == ({}, [])
    assert states(ledger) == [(9000, "released")]


def test_a_running_guest_is_stopped_first(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc(start=1)
    assert guest.status() == "running"

    assert sandbox.close() == []
    stopped = proxmox.calls.index("POST nodes/pve/lxc/9000/status/stop")
    assert stopped < proxmox.calls.index("DELETE nodes/pve/lxc/9000")


def test_the_lease_is_on_disk_before_the_create_is_sent(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    seen: list[tuple[int, str]] = []
    create = proxmox.create

    def watched(*args: str, **said: int) -> str:
        seen.extend(states(ledger))
        return create(*args, **said)  # type: ignore[arg-type]

    proxmox.create = watched  # type: ignore[assignment, method-assign]
    sandbox.lxc()

    assert seen == [(9000, "creating")]


def test_a_vmid_that_somebody_has_is_skipped_and_left_alone(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.plant(FakeGuest(9000, description="mine, hands off"))
    before = vars(proxmox.guests[9000]).copy()

    assert sandbox.lxc().vmid == 9001
    assert sandbox.close() == []

    assert vars(proxmox.guests[9000]) == before
    assert ledger.foreigners(URL, sandbox.run) == [9000]
    assert not any("9000" in call for call in proxmox.calls)


def test_a_vmid_that_no_test_got_is_no_leftover_whoever_has_it(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    """The question whether it is free was never answered, and a stranger's guest is there."""
    proxmox.plant(FakeGuest(9000, description="mine, hands off"))
    proxmox.hidden.add(9000)
    proxmox.fail("GET", "cluster/nextid", 401, "Authentication failed!", times=9)

    with pytest.raises(ApiFailure, match="Authentication failed"):
        sandbox.vmid()

    assert sandbox.close() == []
    assert states(ledger) == [(9000, "released")]
    assert list(proxmox.guests) == [9000]


def test_a_vmid_lost_to_another_run_is_never_deleted(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    """nextid said free, then somebody was first: the create is the final arbiter."""
    proxmox.fail("POST", "nodes/pve/lxc$", 500, "CT 9000 already exists on node 'pve'")

    assert sandbox.lxc().vmid == 9001
    assert states(ledger) == [(9000, "released"), (9001, "live")]
    assert not any(call.startswith("DELETE") for call in proxmox.calls)


def test_a_create_task_that_finds_the_vmid_taken_yields(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    proxmox.exit_statuses["vzcreate"] = "unable to create CT 9000 - CT 9000 already exists"
    proxmox.guests.pop(9000, None)

    assert sandbox.lxc().vmid == 9001
    assert not any(call.startswith("DELETE") for call in proxmox.calls)


def test_a_range_full_of_strangers_is_an_error_and_touches_nobody(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    for vmid in range(9000, 9010):
        proxmox.plant(FakeGuest(vmid))

    with pytest.raises(RangeExhausted, match="9000-9009"):
        sandbox.lxc()

    assert len(proxmox.guests) == 10


def test_a_vmid_whose_old_backup_or_disk_is_kept_by_somebody_is_not_used(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    disk = FakeVolume("local:9000/vm-9000-disk-7.raw", 9000, "images", 5)
    backup = FakeVolume("bak:backup/vzdump-qemu-9001-old.vma", 9001, "backup", 5)
    proxmox.volumes = [disk, backup]
    sandbox = make_sandbox()

    assert sandbox.lxc().vmid == 9002
    assert sandbox.close() == []
    assert proxmox.volumes == [disk, backup]


def test_a_failed_create_shows_the_log_and_what_it_left(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.exit_statuses["vzcreate"] = "unable to create CT 9000 - volume 'x' does not exist"

    with pytest.raises(TaskFailed, match="volume 'x' does not exist") as caught:
        sandbox.lxc()

    assert caught.value.log_tail == ("TASK END",)
    # The fake's worker left its half-made guest: PVE's lock is on it, so it cannot go.
    assert states(ledger) == [(9000, "dirty")]
    assert "is locked (create)" in caught.value.__notes__[0]


def test_a_refused_create_releases_the_vmid(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.fail("POST", "nodes/pve/lxc$", 403, "Permission check failed (/storage/x)")

    with pytest.raises(ApiFailure, match=r"POST nodes/pve/lxc: 403"):
        sandbox.lxc()

    assert states(ledger) == [(9000, "released")]


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
def test_a_lost_answer_is_looked_up_and_never_sent_again(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger, *, after: bool
) -> None:
    proxmox.lose("POST", "nodes/pve/lxc$", after=after)

    if after:
        assert sandbox.lxc().vmid == 9000
    else:
        with pytest.raises(ApiFailure, match="no answer"):
            sandbox.lxc()
    assert proxmox.calls.count("POST nodes/pve/lxc") == 1
    assert sandbox.close() == []
    assert proxmox.guests == {}
    assert states(ledger) == [(9000, "released")]


def test_a_clone_is_removed_before_its_source(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    template = sandbox.lxc()
    clone = template.clone(hostname="two")

    assert proxmox.guests[clone.vmid].name == "two"
    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_clone_that_the_sandbox_does_not_know_the_order_of_still_goes(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    """The template is the newer lease here, so it must be tried twice."""
    clone, template = sandbox.lxc(), sandbox.lxc()
    proxmox.guests[clone.vmid].linked_to = template.vmid

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_busy_source_is_waited_for(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.fail("POST", "clone$", 500, "CT is locked (disk)", times=3)

    assert guest.clone().vmid == 9001


def test_a_killed_clone_is_named_with_the_command_that_frees_it(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    guest = sandbox.lxc()
    proxmox.exit_statuses["vzclone"] = "unexpected status"

    with pytest.raises(TaskFailed):
        guest.clone()

    (leftover,) = sandbox.close()
    assert "lxc/9001 on pve" in str(leftover)
    assert leftover.command.startswith("pct unlock 9001")
    assert states(ledger) == [(9000, "released"), (9001, "dirty")]
    assert 9001 in proxmox.guests


def test_a_backup_goes_before_its_guest(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    volid = guest.backup()
    proxmox.volumes[-1].protected = 1

    assert sandbox.close() == []

    removed = next(i for i, call in enumerate(proxmox.calls) if str(volid) in call)
    assert removed < proxmox.calls.index("DELETE nodes/pve/lxc/9000")
    assert proxmox.volumes == []


def test_a_vm_is_made_and_removed(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.vm(memory=512)

    assert (guest.kind, guest.name) == ("qemu", "pytest-9000")
    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_an_unused_vmid_is_released_with_two_questions(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    vmid = sandbox.vmid()
    asked = len(proxmox.calls)

    assert vmid == 9000
    assert sandbox.close() == []
    assert proxmox.calls[asked:] == ["GET cluster/nextid", "GET nodes/pve/tasks"]
    assert states(ledger) == [(9000, "released")]


def test_what_a_test_made_under_its_vmid_is_removed(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    vmid = sandbox.vmid()
    proxmox.plant(FakeGuest(vmid, status="running"), maker=proxmox.user)

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_what_somebody_else_made_under_our_vmid_stays_and_is_reported(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.user = "root@pam"
    sandbox.facts = replace(sandbox.facts, user="root@pam")
    vmid = sandbox.vmid()
    proxmox.plant(FakeGuest(vmid), maker="admin@pve")

    (leftover,) = sandbox.close()

    assert "made by admin@pve" in leftover.reason
    assert vmid in proxmox.guests
    assert states(ledger) == [(9000, "dirty")]


def test_a_block_is_leased_in_a_row(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    proxmox.plant(FakeGuest(9001))

    assert sandbox.block(3) == VmidRange.parse("9003-9005")
    assert sandbox.vmid() == 9006


def test_a_guest_that_the_test_made_is_adopted(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    proxmox.plant(FakeGuest(9007), maker=proxmox.user)

    guest = sandbox.adopt(9007, "pve")

    assert guest.vmid == 9007
    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_guest_is_adopted_before_it_exists(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sandbox.adopt("9007", "pve")
    proxmox.plant(FakeGuest(9007), maker=proxmox.user)

    assert sandbox.close() == []
    assert proxmox.guests == {}


def test_a_foreign_guest_is_not_adopted(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    proxmox.plant(FakeGuest(9001), maker="root@pam")

    with pytest.raises(ForeignGuest, match="lxc/9001 on pve is not ours"):
        sandbox.adopt(9001, "pve")

    assert sandbox.close() == []
    assert 9001 in proxmox.guests
    assert states(ledger) == [(9001, "released")]


def test_a_guest_from_before_the_run_is_not_adopted(
    make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    proxmox.plant(FakeGuest(9001), maker=proxmox.user)
    sandbox = make_sandbox()

    with pytest.raises(ForeignGuest, match="before this run"):
        sandbox.adopt(9001, "pve")


def test_a_clone_that_the_test_made_is_adopted_by_its_task(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    source = sandbox.lxc()
    proxmox.guests[source.vmid].description = ""
    upid = proxmox.clone("pve", "lxc", "9000", 9005)
    proxmox.task_status("pve", upid)

    assert sandbox.adopt(9005, "pve").vmid == 9005
    assert sandbox.close() == []


def test_a_vmid_of_another_lease_is_not_adopted(
    sandbox: Sandbox, make_sandbox: Callable[..., Sandbox]
) -> None:
    guest = sandbox.lxc()

    with pytest.raises(LeaseError, match="held by another lease"):
        make_sandbox("run-2").adopt(guest.vmid, "pve")


def test_an_exact_vmid_is_used_or_refused(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    proxmox.plant(FakeGuest(9004))

    assert sandbox.lxc(vmid=9005).vmid == 9005
    with pytest.raises(ForeignGuest, match="it was there before us"):
        sandbox.lxc(vmid=9004)


def test_a_guest_is_destroyed_at_once_and_not_again(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    guest.destroy()
    guest.destroy()

    assert proxmox.guests == {}
    assert proxmox.calls.count("DELETE nodes/pve/lxc/9000") == 1
    assert sandbox.close() == []


def test_a_guest_that_cannot_be_destroyed_says_so(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.guests[9000].lock = "backup"

    with pytest.raises(LeftoversRemain, match=r"CT is locked \(backup\)"):
        guest.destroy()


def test_closing_again_tries_again_what_was_left(
    sandbox: Sandbox, proxmox: FakeProxmox, ledger: Ledger
) -> None:
    sandbox.lxc()
    proxmox.guests[9000].lock = "backup"
    assert len(sandbox.close()) == 1

    proxmox.guests[9000].lock = None
    assert sandbox.close() == []
    assert states(ledger) == [(9000, "released")]


def test_the_runs_sweep_takes_what_sandboxes_left_open(
    sandbox: Sandbox, make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    sandbox.lxc()
    forgotten = make_sandbox()
    forgotten.lxc()

    assert sandbox.sweep_run() == []
    assert proxmox.guests == {}


def test_the_runs_sweep_leaves_other_runs_alone(
    sandbox: Sandbox, make_sandbox: Callable[..., Sandbox], proxmox: FakeProxmox
) -> None:
    other = make_sandbox("run-2").lxc()

    assert sandbox.sweep_run() == []
    assert list(proxmox.guests) == [other.vmid]


def test_no_network_that_nobody_named(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    sent: list[dict[str, object]] = []
    create = proxmox.create

    def watched(*args: str, **said: object) -> str:
        sent.append(said)
        return create(*args, **said)  # type: ignore[arg-type]

    proxmox.create = watched  # type: ignore[assignment, method-assign]
    sandbox.lxc()
    sandbox.lxc(bridge="vmbr1", ssh_public_keys="ssh-ed25519 x", swap=None)

    assert "net0" not in sent[0]
    assert sent[0]["unprivileged"] == 1
    assert len(str(sent[0]["password"])) > 20
    assert sent[0]["password"] != sent[1]["password"]
    assert str(sent[1]["net0"]).startswith("name=eth0,bridge=vmbr1")
    assert sent[1]["ssh-public-keys"] == "ssh-ed25519 x"
    assert "swap" not in sent[1]


def test_failures_carry_their_code(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.guests.clear()

    with pytest.raises(ApiFailure) as caught:
        guest.config()

    assert caught.value.code == Code.NO_GUEST
