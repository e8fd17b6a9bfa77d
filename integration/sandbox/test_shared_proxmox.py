"""The sandbox on a Proxmox that others use too: everything goes, whatever it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.sandbox.conftest import Made
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.sandbox.guests import Guest
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.facts import TargetFacts

Use = Callable[[Sandbox, Made], object]
REAPED_S = 120.0


def clone(sandbox: Sandbox, made: Made) -> None:
    """A container and its clone."""
    guest = sandbox.lxc()
    made.note(guest, guest.clone())


def backup(sandbox: Sandbox, made: Made) -> None:
    """A container with a backup."""
    guest = sandbox.lxc()
    guest.backup()
    made.note(guest)


def restored(sandbox: Sandbox, made: Made) -> None:
    """A container, and another one from its backup."""
    guest = sandbox.lxc()
    made.note(guest, sandbox.lxc(ostemplate=str(guest.backup()), restore=1))


USES: dict[str, Use] = {
    "a container": lambda sandbox, made: made.note(sandbox.lxc()),
    "a running container": lambda sandbox, made: made.note(sandbox.lxc(start=1)),
    "a VM": lambda sandbox, made: made.note(sandbox.vm()),
    "a protected one": lambda sandbox, made: made.note(sandbox.lxc(protection=1)),
    "a clone": clone,
    "a snapshot": lambda sandbox, made: made.note(sandbox.lxc().snapshot("one").rollback("one")),
    "a backup": backup,
    "a restored one": restored,
    "an unused VMID": lambda sandbox, made: made.note(sandbox.vmid()),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_nothing_is_left_of(use: Use, made: Made, proxmox_sandbox: Sandbox) -> None:
    use(proxmox_sandbox, made)
    assert made.vmids


def test_a_guest_is_in_the_leases_pool(
    made: Made, proxmox: Any, lxc: Guest, proxmox_target: TargetFacts
) -> None:
    made.note(lxc)
    if proxmox_target.kind == "simulator":
        pytest.skip("nobody shares an embedded Proxmox: no pools are needed")
    rows = proxmox.cluster.resources.get(type="vm")
    (pool,) = [row["pool"] for row in rows if row["vmid"] == lxc.vmid]
    assert pool == lxc.lease.pool
    assert lxc.lease.id in lxc.config()["description"]


@pytest.mark.parametrize("registers", [True, False], ids=["registered", "by its VMID alone"])
def test_what_an_app_makes_is_removed(
    made: Made,
    proxmox: Any,
    proxmox_target: TargetFacts,
    proxmox_sandbox: Sandbox,
    register_container: Callable[..., Guest],
    registers: bool,
) -> None:
    vmid = proxmox_sandbox.vmid()
    made.note(vmid)
    node = proxmox.nodes(proxmox_target.node)
    order = {"pool": pool} if (pool := proxmox_sandbox.pool_of(vmid)) else {}
    node.lxc.post(
        vmid=vmid, ostemplate=proxmox_target.template, rootfs=f"{proxmox_target.storage}:1", **order
    )
    if registers:
        assert register_container(vmid).start().status() == "running"


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_warm_container_is_as_new(proxmox: Any, warm_lxc: Guest, time: str) -> None:
    assert warm_lxc.status() == "running"
    snapshots = proxmox(warm_lxc.path("snapshot")).get()
    assert {row["name"] for row in snapshots} <= {"current", "golden"}
    warm_lxc.snapshot("mine")


@pytest.fixture(scope="module")
def shared(proxmox_sandbox_module: Sandbox) -> Guest:
    """One container for the module."""
    return proxmox_sandbox_module.lxc()


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_modules_guest_outlives_a_test(shared: Guest, time: str) -> None:
    assert shared.config()["hostname"] == shared.name


@pytest.fixture
def killed_suite(
    tmp_path: Path, proxmox_target: TargetFacts, pytestconfig: pytest.Config
) -> Iterator[subprocess.Popen[bytes]]:
    """A run of its own on this Proxmox, which has a guest and waits to be killed."""
    if proxmox_target.kind == "simulator":
        pytest.skip("an embedded Proxmox does not outlive its run")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "import pathlib, threading\n"
        "def test_it(lxc):\n"
        "    pathlib.Path('vmid').write_text(str(lxc.vmid))\n"
        "    threading.Event().wait(600)\n",
        encoding="utf-8",
    )
    target = "real" if proxmox_target.kind == "real" else proxmox_target.url
    environ = {**os.environ, "PROXMOX_TARGET": target, "PROXMOX_REAPER_GRACE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, env=environ
    )
    yield process
    process.kill()
    process.wait()


def test_a_killed_runs_guest_goes_without_any_later_run(
    killed_suite: subprocess.Popen[bytes], proxmox: Any, tmp_path: Path
) -> None:
    said = tmp_path / "vmid"
    until(lambda: said.exists() and said.read_text() != "")
    vmid = int(said.read_text())
    assert proxmox.cluster.resources.get(type="vm")

    killed_suite.kill()

    until(lambda: is_free(proxmox, vmid))
    assert is_free(proxmox, vmid)


def is_free(proxmox: Any, vmid: int) -> bool:
    """Whether no guest has the VMID."""
    try:
        proxmox.cluster.nextid.get(vmid=vmid)
    except Exception as exc:
        if "already exists" not in str(exc):
            raise
        return False
    return True


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so, or until the time is over."""
    clock = SystemClock()
    end = clock.monotonic() + REAPED_S
    while not is_so() and clock.monotonic() < end:
        clock.sleep(0.1)
