"""A Proxmox that outlives the run: guests go whatever happens, foreign ones are not touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from tests.plugin.conftest import Project


@pytest.fixture
def sim() -> Simulator:
    """A Proxmox with somebody else's container in the middle of our range."""
    made = Simulator()
    made.plant(vmid=9001, type="lxc", node="pve", config={})
    return made


@pytest.fixture
def outside(project: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that can log in there; what its machine remembers lies in its own folder."""
    with Server(sim) as server:
        monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
        monkeypatch.setenv("PROXMOX_TARGET", server.url)
        monkeypatch.setenv("PROXMOX_USER", sim.credentials.user)
        monkeypatch.setenv("PROXMOX_PASSWORD", sim.credentials.password)
        monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(server.ca_file))
        monkeypatch.setenv("PROXMOX_REAPER_GRACE", "60")  # these tests are about the other nets
        yield project


def vmids(sim: Simulator) -> list[int]:
    """Return the VMIDs of all guests."""
    return [guest.vmid for guest in sim.guests()]


def test_guests_go_and_the_foreign_one_stays(
    outside: Project, sim: Simulator, how: tuple[str, ...]
) -> None:
    before = sim.guest(9001)
    outside.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(n, lxc, proxmox_target):\n"
        "    assert proxmox_target.kind == 'url' and lxc.vmid != 9001\n",
    )
    result = outside.run(*how)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["proxmox: 4 containers made on https://127.0.0.1:*, all removed"])
    assert vmids(sim) == [9001]
    assert sim.guest(9001) == before


def test_what_cannot_be_removed_fails_the_run_and_is_named(
    outside: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "sleep", lambda self, duration_s: None)
    outside.write(
        "test_it.py",
        "def test_it(vmid, proxmox, proxmox_target):\n"
        "    t = proxmox_target\n"
        "    proxmox.nodes(t.node).lxc.post(\n"
        "        vmid=vmid, ostemplate=t.template, rootfs=f'{t.storage}:1')\n"
        "    proxmox.nodes(t.node).lxc(vmid).config.put(lock='backup')\n",
    )
    result = outside.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*left on Proxmox*",
            "*lxc/9000*To free it, run on its node: pct unlock 9000*",
            "proxmox: 1 container made on https://127.0.0.1:*, 1 not removed",
        ]
    )


def test_nothing_is_restored_there(outside: Project, sim: Simulator) -> None:
    outside.write("test_it.py", "def test_it(proxmox): proxmox.pools.post(poolid='mine')\n")
    outside.run().assert_outcomes(passed=1)
    assert "mine" in set(sim.state.pools)


def test_simulators_fixture_is_skipped_there(outside: Project) -> None:
    outside.write("test_it.py", "def test_it(proxmox_simulator): pass\n")
    result = outside.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *proxmox_simulator needs the simulator*"])


KILLED = """
import os, signal

def test_dies(lxc):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_next_run_removes_what_a_killed_one_left(outside: Project, sim: Simulator) -> None:
    outside.write("test_it.py", KILLED)
    outside.run_apart()
    assert vmids(sim) == [9000, 9001]
    outside.write("test_it.py", "def test_it(proxmox): pass\n")
    outside.run_apart().assert_outcomes(passed=1)
    assert vmids(sim) == [9001]


def test_sweep_removes_what_a_killed_run_left(
    outside: Project, sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    outside.write("test_it.py", KILLED)
    outside.run_apart()
    assert main(["leases"]) == 0
    assert "lxc/9000 on pve" in capsys.readouterr().out
    assert main(["sweep", "--dry-run"]) == 0
    assert vmids(sim) == [9000, 9001]
    assert main(["sweep"]) == 0
    assert "Removing lxc/9000 on pve" in capsys.readouterr().err
    assert vmids(sim) == [9001]
    assert main(["leases"]) == 0
    assert "No leases of this machine.\n" in capsys.readouterr().out


def test_sweep_names_what_it_cannot_remove(
    outside: Project,
    sim: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside.write("test_it.py", KILLED)
    outside.run_apart()
    guest = sim.guest(9000)
    assert guest is not None
    sim.put_guest(replace(guest.with_config({"lock": "backup"}), status="stopped"))
    monkeypatch.setattr(SystemClock, "sleep", lambda self, duration_s: None)
    capsys.readouterr()
    assert main(["sweep"]) == 1
    assert '"command": "pct unlock 9000' in capsys.readouterr().out


def test_controller_removes_what_a_crashed_worker_left(outside: Project, sim: Simulator) -> None:
    outside.write(
        "test_it.py",
        "import os\n"
        "def test_dies(proxmox_sandbox_session):\n"
        "    proxmox_sandbox_session.lxc()\n"
        "    os._exit(1)\n",
    )
    result = outside.run_apart("-n", "1", "--max-worker-restart", "0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert vmids(sim) == [9001]


def test_interrupted_run_removes_its_guests(outside: Project, sim: Simulator) -> None:
    outside.write("test_it.py", "def test_it(lxc, proxmox_sandbox_session):\n"
                  "    proxmox_sandbox_session.lxc()\n    raise KeyboardInterrupt\n")  # fmt: skip
    result = outside.run_apart()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert vmids(sim) == [9001]


REAL = """
import pytest

def test_simulated(proxmox_target, lxc, proxmox_simulator):
    assert proxmox_target.kind == "simulator"
    assert proxmox_simulator.vmids() == {lxc.vmid}

@pytest.mark.real_proxmox
def test_real(proxmox_target, lxc, vmid_range, proxmox_config):
    assert proxmox_target.kind == "real"
    assert lxc.status() == "running"
    assert proxmox_config["port"] != int(proxmox_target.url.rpartition(":")[2])  # the gateway

def test_simulated_again(proxmox_target):
    assert proxmox_target.kind == "simulator"
"""


def as_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name the server as PROXMOX_HOST, and no target."""
    monkeypatch.setenv("PROXMOX_HOST", os.environ["PROXMOX_TARGET"])
    monkeypatch.delenv("PROXMOX_TARGET")


def test_host_alone_is_for_real_tests_only(
    outside: Project, sim: Simulator, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_host(monkeypatch)
    outside.write("test_it.py", REAL)
    result = outside.run(*how, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_it.py::test_real *"] if how else ["*::test_real PASSED*"])
    assert vmids(sim) == [9001]
    assert any(call.path.endswith("/lxc") for call in sim.calls if call.method == "POST")


def test_node_in_the_environment_is_the_hosts(
    outside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_host(monkeypatch)
    monkeypatch.setenv("PROXMOX_NODE", "pve7")
    outside.write(
        "test_it.py", "def test_it(proxmox_target): assert proxmox_target.node == 'pve'\n"
    )
    outside.run().assert_outcomes(passed=1)


def test_real_target_is_for_all_tests(
    outside: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_host(monkeypatch)
    outside.write(
        "test_it.py", "def test_it(lxc, proxmox_target): assert proxmox_target.kind == 'real'"
    )
    outside.run("--proxmox", "real").assert_outcomes(passed=1)
    assert vmids(sim) == [9001]


def test_serve_command_is_such_a_target(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = project.path / "ready.json"
    command = [sys.executable, "-m", "pytest_proxmox", "serve", "--port", "0"]
    project.write(
        "test_it.py",
        "import json, os\n"
        "from pathlib import Path\n"
        "def test_it(lxc, proxmox_target):\n"
        "    ready = json.loads(Path('ready.json').read_text())\n"
        "    assert proxmox_target.url == ready['url']\n"
        "    assert proxmox_target.storage == ready['storage']\n",
    )
    with subprocess.Popen(
        [*command, "--ready-file", str(ready)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        banner = [process.stdout.readline() for _ in range(5)]
        address = next(line.split()[1] for line in banner if "address" in line)
        ca_file = next(line.split()[2] for line in banner if "CA file" in line)
        monkeypatch.setenv("PROXMOX_PASSWORD", "secret")
        monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
        try:
            result = project.run("--proxmox", address, "--proxmox-verify-ssl", ca_file)
        finally:
            process.terminate()
    result.assert_outcomes(passed=1)
