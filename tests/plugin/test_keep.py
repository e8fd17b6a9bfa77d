"""``--proxmox-keep``: a failed test's guests stay for a while, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from tests.plugin.conftest import Project

TESTS = """
def test_fails(lxc): assert 0

def test_passes(lxc): pass
"""
CALLING = """
def test_fails(proxmox, proxmox_target):
    t = proxmox_target
    vmid = proxmox.cluster.nextid.get()
    proxmox.nodes(t.node).lxc.post(vmid=vmid, ostemplate=t.template, rootfs=f"{t.storage}:1")
    assert 0
"""


@pytest.fixture
def sim() -> Simulator:
    """A Proxmox that outlives the run."""
    return Simulator()


@pytest.fixture
def shared(project: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that names it by its address."""
    with Server(sim) as server:
        monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
        monkeypatch.setenv("PROXMOX_TARGET", server.url)
        monkeypatch.setenv("PROXMOX_PASSWORD", sim.credentials.password)
        monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(server.ca_file))
        monkeypatch.setenv("PROXMOX_REAPER_GRACE", "0")
        yield project


def vmids(sim: Simulator) -> list[int]:
    """Return the VMIDs of all guests."""
    return [guest.vmid for guest in sim.guests()]


@pytest.mark.parametrize("tests", [TESTS, CALLING], ids=["fixture", "by a call"])
def test_failed_tests_guest_stays_and_is_freed_by_the_command_that_is_told(
    shared: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch, tests: str
) -> None:
    shared.write("test_it.py", tests)
    result = shared.run("--proxmox-keep=failed=10m")
    result.stdout.fnmatch_lines(
        [
            "kept for 10 min, because test_it.py::test_fails failed: lxc/9* on pve",
            "*pct enter 9*",
            "*pytest-proxmox sweep --kept 9*",
        ]
    )
    (vmid,) = vmids(sim)
    assert result.stdout.str().count("sweep --kept") == 1
    assert main(["sweep"]) == 0
    assert vmids(sim) == [vmid]
    waited: list[float] = []  # for the requests of an app that may still be running
    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: waited.append(seconds))
    assert main(["sweep", "--kept", str(vmid)]) == 0
    assert vmids(sim) == []
    assert (max(waited, default=0) > 14) is (tests is CALLING)


def test_next_run_works_beside_it_and_takes_it_when_its_time_is_over(
    shared: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.write("test_it.py", TESTS)
    shared.run_apart("--proxmox-keep=failed=10m")
    kept = vmids(sim)
    assert len(kept) == 1
    shared.run_apart("-k", "passes").assert_outcomes(passed=1, deselected=1)
    assert vmids(sim) == kept
    later = SystemClock().now() + 601
    monkeypatch.setattr(SystemClock, "now", lambda self: later)
    assert main(["sweep"]) == 0
    assert vmids(sim) == []


KILLED = """
import os, signal

def test_fails(lxc): assert 0

def test_dies(lxc): os.kill(os.getpid(), signal.SIGKILL)
"""


def test_reaper_of_a_killed_run_leaves_what_was_kept(shared: Project, sim: Simulator) -> None:
    shared.write("test_it.py", KILLED)
    shared.run_apart("--proxmox-keep=failed=10m")
    clock = SystemClock()
    begun = clock.monotonic()
    with Ledger(shared.path / "state" / "pytest-proxmox") as ledger:
        (target,) = ledger.targets(kind="url")
        (run,) = ledger.runs(target)
        while ledger.reaper(run, target) is not None:  # it goes when it has swept twice
            assert clock.monotonic() - begun < 60
            clock.sleep(0.1)
        kept = [int(lease.vmid) for lease in ledger.leases(target)]
    assert len(kept) == 1
    assert vmids(sim) == kept


def test_other_guests_are_not_swept_by_that_name(
    shared: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--kept", "9000"]) == 2
    assert "guest 9000 is not kept" in capsys.readouterr().err


def test_embedded_proxmox_keeps_nothing_and_says_so(project: Project) -> None:
    project.write("test_it.py", TESTS)
    result = project.run("--proxmox-keep=failed")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["--proxmox-keep kept nothing: the embedded Proxmox ends *"])
