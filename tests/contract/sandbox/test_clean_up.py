"""Whatever a sandbox made is gone afterwards, and nothing else is."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest

from pytest_proxmox.errors import ForeignGuest, TaskFailed
from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.inventory import Located
from pytest_proxmox.sandbox.lease import Lease, Leftover, State
from pytest_proxmox.sandbox.removal import Removal, Trace
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.tasks import wait
from tests.contract.sandbox.conftest import Site


def states(site: Site) -> list[str]:
    """The states of all leases, oldest first."""
    leases = site.ledger.leases(site.facts.url, states=tuple(State))
    return [str(lease.state) for lease in leases]


def step(guest: Guest, site: Site, path: str, **params: object) -> None:
    """Do something to a guest that the sandbox has no method for."""
    site.do("post", guest.path(path), **params)


USES: dict[str, Callable[[Sandbox, Site], object]] = {
    "a container": lambda sandbox, site: sandbox.lxc(),
    "a running container": lambda sandbox, site: sandbox.lxc(start=1),
    "a VM": lambda sandbox, site: site.vm(sandbox),
    "a running VM": lambda sandbox, site: site.vm(sandbox, start=1),
    "a stopped one": lambda sandbox, site: sandbox.lxc(start=1).stop(),
    "a protected one": lambda sandbox, site: sandbox.lxc(protection=1),
    "a second disk": lambda sandbox, site: sandbox.lxc(mp0=f"{site.facts.storage}:1,mp=/data"),
    "a clone": lambda sandbox, site: sandbox.lxc().clone(),
    "a clone of a clone": lambda sandbox, site: sandbox.lxc().clone().clone(),
    "a snapshot": lambda sandbox, site: sandbox.lxc().snapshot("s1").rollback("s1"),
    "a backup": lambda sandbox, site: sandbox.lxc().backup(),
    "a protected backup": lambda sandbox, site: sandbox.lxc().backup(protected=1),
    "two backups": lambda sandbox, site: [guest := sandbox.lxc(), guest.backup(), guest.backup()],
    "a restored one": lambda sandbox, site: sandbox.lxc(
        ostemplate=str(sandbox.lxc().backup()), restore=1
    ),
    "an unused VMID": lambda sandbox, site: sandbox.vmid(),
    "an unused block": lambda sandbox, site: sandbox.block(4),
    "one that the test destroyed": lambda sandbox, site: site.do("delete", sandbox.lxc().path()),
    "one with a new description": lambda sandbox, site: site.stranger.put(
        sandbox.lxc().path("config"), description="rewritten by the test"
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_is_left_of(use: Callable[[Sandbox, Site], object], site: Site) -> None:
    site.plant(9000)
    site.plant(9003, hostname="theirs-too")
    before = site.picture()
    sandbox = site.sandbox()

    use(sandbox, site)

    site.empty(sandbox)
    assert site.picture() == before
    assert set(states(site)) == {"released"}


def test_linked_clones_go_before_their_template(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()
    template = sandbox.lxc(storage="local-lvm")
    step(template, site, "template")
    clone = template.clone()

    # The clone's lease is made the older one: the order of claims must not matter.
    sandbox._leases.reverse()

    assert clone.config()["rootfs"].startswith("local-lvm:")
    site.empty(sandbox)
    assert site.picture() == before


def test_a_guest_that_the_app_under_test_made_is_removed(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()
    vmid = sandbox.vmid()
    sandbox.calls.post(f"nodes/{site.facts.node}/lxc", **site.order(sandbox, vmid, start=1))

    site.empty(sandbox)
    assert site.picture() == before


def test_an_adopted_clone_of_an_adopted_guest_is_removed(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()
    node = site.facts.node
    first, second = sandbox.block(2)
    order = site.order(sandbox, first)
    sandbox.calls.post(f"nodes/{node}/lxc", **order)
    sandbox.adopt(first, node).start().stop()
    path = f"nodes/{node}/lxc/{int(first)}/clone"
    sandbox.calls.post(path, newid=int(second), pool=order["pool"])
    sandbox.adopt(second, node)

    site.empty(sandbox)
    assert site.picture() == before


def test_a_strangers_guest_is_neither_adopted_nor_touched(site: Site) -> None:
    sandbox = site.sandbox()
    site.plant(9001)
    before = site.picture()

    with pytest.raises(ForeignGuest, match=r"made by root@pam!stranger|may not see by what"):
        sandbox.adopt(9001, site.facts.node)

    site.empty(sandbox)
    assert site.picture() == before


def test_what_a_stranger_put_under_our_vmid_stays_and_is_reported(site: Site) -> None:
    sandbox = site.sandbox()
    vmid = sandbox.vmid()
    site.plant(vmid)
    before = site.picture()

    (leftover,) = sandbox.close()

    assert re.search("made by root@pam!stranger|may not see by what", leftover.reason)
    assert site.picture() == before
    assert states(site) == ["dirty"]


def test_a_failed_create_leaves_nothing(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()

    with pytest.raises(TaskFailed, match="does not exist"):
        sandbox.lxc(ostemplate="local:vztmpl/nope.tar.gz")

    assert states(site) == ["released"]
    site.empty(sandbox)
    assert site.picture() == before


def test_a_locked_guest_is_reported_and_keeps_its_vmid(site: Site) -> None:
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    site.lock(guest)

    (leftover,) = sandbox.close()

    assert "CT is locked (backup)" in leftover.reason
    assert leftover.command.startswith(f"pct unlock {guest.vmid}")
    assert states(site) == ["dirty"]
    assert guest.vmid not in {sandbox.vmid() for _ in range(5)}


def test_a_vm_with_a_stale_lock_goes_by_a_root_ticket_only(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()
    guest = site.vm(sandbox)
    site.lock(guest)

    leftovers = sandbox.close()

    if site.facts.user == "root@pam":
        assert leftovers == []
        site.empty(sandbox)
        assert site.picture() == before
    else:
        assert [left.command[:14] for left in leftovers] == ["qm unlock 9000"]


def test_volumes_without_a_guest_are_their_owners(site: Site) -> None:
    """Whether we see them, and leave their VMIDs alone, or not: a weak token does not."""
    site.plant(9000)
    site.do(
        "post",
        f"nodes/{site.facts.node}/vzdump",
        vmid=9000,
        storage=site.facts.backup_storage,
        mode="stop",
    )
    site.do("delete", f"nodes/{site.facts.node}/lxc/9000")
    before = site.picture()
    sandbox = site.sandbox()

    sandbox.lxc(start=1).backup()
    sandbox.lxc().backup()
    site.empty(sandbox)
    assert site.picture() == before


def test_a_backup_of_a_guest_that_the_test_destroyed_is_removed_or_named(site: Site) -> None:
    """Without its guest, a weak token neither sees it nor may delete it (golden 14 seq 86)."""
    before = site.picture()
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    volid = guest.backup()
    site.do("delete", guest.path())

    leftovers = sandbox.close()

    if site.facts.user == "root@pam":
        assert leftovers == []
        site.empty(sandbox)
        assert site.picture() == before
    else:
        assert [left.command for left in leftovers] == [f"pvesm free {volid}"]


def test_threads_share_a_sandbox(site: Site) -> None:
    before = site.picture()
    sandbox = site.sandbox()
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(sandbox.lxc(start=1).vmid)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == list(range(9000, 9006))
    site.empty(sandbox)
    assert site.picture() == before


def test_who_comes_after_our_destroy_is_left_alone(site: Site) -> None:
    """A guest that was migrated here has no create on this node's list: only ours is there."""
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    upid = sandbox.calls.delete(guest.path())
    wait(site.api, upid, timeout_s=60, clock=site.clock).demand("destroy")
    site.embedded.plant(vmid=int(guest.vmid), type="lxc", node=site.facts.node, config={})
    before = site.picture()

    (leftover,) = sandbox.close()

    assert "not proven ours" in leftover.reason
    assert site.picture() == before


def test_who_takes_our_vmid_while_we_destroy_is_no_leftover(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    residue = Removal.residue

    def overtaken(removal: Removal, lease: Lease, trace: Trace) -> list[Leftover]:
        left = residue(removal, lease, trace)
        if site.is_free(guest.vmid):
            site.plant(guest.vmid)
        return left

    monkeypatch.setattr(Removal, "residue", overtaken)

    assert sandbox.close() == []
    assert states(site) == ["released"]
    assert not site.is_free(guest.vmid)


def test_what_goes_while_we_look_at_it_is_gone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a token whose rights are on the pool only, a guest that went is a 403."""
    sandbox = site.sandbox()
    guest = sandbox.lxc()
    find = Removal.find
    overtaken: list[Located | None] = []

    def too_late(removal: Removal, lease: Lease, trace: Trace) -> Located | None:
        found = find(removal, lease, trace)
        if not overtaken:
            overtaken.append(found)
            site.do("delete", guest.path())  # a late request of a process that died
        return found

    monkeypatch.setattr(Removal, "find", too_late)

    assert sandbox.close() == []
    assert overtaken != [None]
    assert states(site) == ["released"]
