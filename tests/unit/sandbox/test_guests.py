"""Guests: each step is waited for, and one that has nothing to do is fine."""

from __future__ import annotations

import pytest

from pytest_proxmox.errors import ApiFailure, TaskFailed
from pytest_proxmox.sandbox.sandbox import Sandbox
from tests.unit.sandbox.fake import FakeProxmox


@pytest.mark.parametrize(
    ("addresses", "url"),
    [
        (["127.0.0.1/8", "10.0.0.7/24", "10.1.0.7/24"], "http://10.0.0.7"),
        (["127.0.0.1/8"], None),
        ([], None),
    ],
    ids=["two", "loopback only", "none"],
)
@pytest.mark.parametrize("kind", ["lxc", "vm"])
def test_a_guests_url_has_its_first_own_address(
    sandbox: Sandbox, proxmox: FakeProxmox, kind: str, addresses: list[str], url: str | None
) -> None:
    guest = (sandbox.lxc if kind == "lxc" else sandbox.vm)(start=1)
    proxmox.guests[guest.vmid].addresses = addresses

    assert guest.url == url


def test_a_vm_that_is_off_has_no_url(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.vm()
    proxmox.guests[guest.vmid].addresses = ["10.0.0.7/24"]

    assert guest.url is None


def test_an_address_that_is_not_known_yet_is_passed_over(
    sandbox: Sandbox, proxmox: FakeProxmox
) -> None:
    guest = sandbox.lxc()
    proxmox.interfaces = lambda *_: [  # type: ignore[method-assign]
        {"name": "eth0", "hwaddr": "aa"},
        {"name": "eth1", "inet": "10.0.0.8/24"},
    ]

    assert guest.url == "http://10.0.0.8"


def test_a_guest_shows_where_and_what_it_is(sandbox: Sandbox) -> None:
    guest = sandbox.lxc(hostname="web")

    assert repr(guest) == f"<Guest {guest.ref}>"
    assert (guest.vmid, guest.node, guest.kind, guest.name) == (9000, "pve", "lxc", "web")
    assert guest.path() == "nodes/pve/lxc/9000"
    assert guest.path("status/current") == "nodes/pve/lxc/9000/status/current"
    assert guest.config()["hostname"] == "web"


def test_steps_return_the_guest_when_they_are_done(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()

    assert guest.start() is guest
    assert guest.status() == "running"
    assert guest.snapshot("before") is guest
    assert proxmox.guests[guest.vmid].snapshots == ["before"]
    assert guest.rollback("before") is guest
    assert guest.stop() is guest
    assert guest.status() == "stopped"


def test_a_guest_that_is_off_is_stopped_without_an_error(sandbox: Sandbox) -> None:
    guest = sandbox.lxc()

    assert guest.stop() is guest


@pytest.mark.parametrize("by", ["answer", "task"])
def test_a_guest_that_runs_is_started_without_an_error(
    sandbox: Sandbox, proxmox: FakeProxmox, by: str
) -> None:
    guest = sandbox.lxc()
    said = "CT 9000 already running"
    if by == "answer":
        proxmox.fail("POST", "status/start", 500, said)
    else:
        proxmox.exit_statuses["vzstart"] = said

    assert guest.start() is guest


def test_a_step_that_is_refused_raises(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.fail("POST", "snapshot", 500, "snapshot feature is not available")

    with pytest.raises(ApiFailure, match="snapshot feature is not available"):
        guest.snapshot("x")


@pytest.mark.parametrize("step", ["start", "rollback"])
def test_a_step_whose_task_fails_names_step_and_guest(
    sandbox: Sandbox, proxmox: FakeProxmox, step: str
) -> None:
    guest = sandbox.lxc()
    proxmox.exit_statuses["vzstart"] = "startup for container '9000' failed"

    with pytest.raises(TaskFailed) as caught:
        guest.start() if step == "start" else guest.rollback("nothing")

    what = "status/start" if step == "start" else "snapshot/nothing/rollback"
    assert f"{what} of {guest.ref}" in str(caught.value)


def test_waiting_for_a_guest_returns_it(sandbox: Sandbox, proxmox: FakeProxmox) -> None:
    guest = sandbox.lxc()
    proxmox.tasks[-1].log = ["extracting", "done"]

    assert guest.wait_until(log="^done$", timeout_s=1) is guest
