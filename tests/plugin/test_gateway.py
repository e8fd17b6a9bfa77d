"""What the fixtures give on a Proxmox that others use goes through the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from tests.plugin.conftest import Project

THEIRS = 9001
APP = """
import proxmoxer

def deploy(config, target):
    '''An app that knows nothing of tests, leases or pools.'''
    api = proxmoxer.ProxmoxAPI(**config)
    vmid = api.cluster.nextid.get()
    upid = api.nodes(target.node).lxc.post(
        vmid=vmid, ostemplate=target.template, rootfs=f"{target.storage}:1", password="opensesame")
    while api.nodes(target.node).tasks(upid).status.get()["status"] == "running":
        continue
    return int(vmid)
"""
TESTS = """
from app import deploy

def test_app(proxmox_config, proxmox_target, proxmox):
    vmid = deploy(proxmox_config, proxmox_target)
    assert proxmox.nodes('pve').lxc(vmid).status.current.get()['status'] == 'stopped'

def test_lxc(lxc, proxmox):
    lxc.stop()
    assert proxmox.nodes('pve').lxc(lxc.vmid).status.current.get()['status'] == 'stopped'
"""


@pytest.fixture
def sim() -> Simulator:
    """A Proxmox with somebody else's container in the middle of our range."""
    made = Simulator()
    made.plant(vmid=THEIRS, type="lxc", node="pve", config={})
    return made


@pytest.fixture
def real(
    project: Project,
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Project]:
    """A project on a Proxmox that it takes for real, with the token that ``setup`` made."""
    with Server(sim) as server:
        monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "state"))
        monkeypatch.setenv("PROXMOX_HOST", f"127.0.0.1:{server.port}")
        monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(server.ca_file))
        monkeypatch.setenv("PROXMOX_PASSWORD", sim.credentials.password)
        assert main(["setup", "--as", "root@pam"]) == 0
        for line in capsys.readouterr().out.splitlines():
            monkeypatch.setenv(*line.split("=", 1))
        monkeypatch.delenv("PROXMOX_PASSWORD")
        monkeypatch.setenv("PROXMOX_TARGET", "real")
        monkeypatch.setenv("PROXMOX_REAPER_GRACE", "0")
        project.write("app.py", APP)
        monkeypatch.syspath_prepend(project.path)
        yield project


def vmids(sim: Simulator) -> set[int]:
    """Return the VMIDs of all guests."""
    return {guest.vmid for guest in sim.guests()}


def test_app_that_knows_a_login_only_is_sandboxed(real: Project, sim: Simulator) -> None:
    real.write("test_it.py", TESTS + f"def test_gone(proxmox):\n    assert {GONE}\n")
    real.run().assert_outcomes(passed=3)
    assert vmids(sim) == {THEIRS}


def test_guest_of_an_app_that_chose_its_vmid_can_be_registered(
    real: Project, sim: Simulator
) -> None:
    real.write(
        "test_it.py",
        "from app import deploy\n"
        "def test_it(proxmox_config, proxmox_target, register_container):\n"
        "    vmid = deploy(proxmox_config, proxmox_target)\n"
        "    for guest in (register_container(vmid), register_container(str(vmid))):\n"
        "        assert guest.vmid == vmid and guest.status() == 'stopped'\n"
        f"def test_gone(proxmox):\n    assert {GONE}\n",
    )
    real.run().assert_outcomes(passed=2)
    assert vmids(sim) == {THEIRS}


GONE = "[row for row in proxmox.cluster.resources.get(type='vm')] == []"


@pytest.mark.parametrize("transport", ["https", "in-process"])
def test_delete_of_a_foreign_guest_gets_403_and_fails_the_test(
    real: Project, sim: Simulator, transport: str
) -> None:
    before = sim.guest(THEIRS)
    real.write(
        "test_it.py",
        "import pytest\n"
        "from proxmoxer.core import ResourceException\n"
        "def test_it(proxmox):\n"
        "    with pytest.raises(ResourceException) as caught:\n"
        f"        proxmox.nodes('pve').lxc({THEIRS}).delete()\n"
        "    assert caught.value.status_code == 403\n",
    )
    result = real.run(f"--proxmox-transport={transport}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"DELETE /nodes/pve/lxc/{THEIRS} was refused: guest {THEIRS} is not leased by this run"]
    )
    assert sim.guest(THEIRS) == before


def test_recorded_run_is_replayed_without_a_proxmox(
    real: Project, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.write("test_it.py", TESTS)
    real.run("--proxmox-record=tape").assert_outcomes(passed=2)
    recorded = (real.path / "tape" / "exchanges-main.jsonl").read_text()
    assert "opensesame" not in recorded
    for name in ("HOST", "TARGET", "TOKEN_NAME", "TOKEN_VALUE", "VERIFY_SSL"):
        monkeypatch.delenv(f"PROXMOX_{name}")
    before = len(sim.calls)
    real.run("--proxmox-replay=tape").assert_outcomes(passed=2)
    real.run("--proxmox-replay=tape", "-k", "lxc").assert_outcomes(passed=1)
    assert len(sim.calls) == before


def test_replay_names_what_was_not_recorded(real: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real.write("test_it.py", "def test_it(proxmox): proxmox.version.get()\n")
    real.run("--proxmox-record=tape").assert_outcomes(passed=1)
    real.write("test_it.py", "def test_it(proxmox): proxmox.cluster.status.get()\n")
    result = real.run("--proxmox-replay=tape")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no answer to GET /cluster/status in test_it.py::test_it*"])


def test_faults_happen_on_a_real_proxmox_too(real: Project) -> None:
    real.write(
        "test_it.py",
        "import pytest, requests\n"
        "def test_it(proxmox, proxmox_faults):\n"
        "    proxmox_faults.drop('GET', '/version')\n"
        "    with pytest.raises(requests.exceptions.ConnectionError):\n"
        "        proxmox.version.get()\n"
        "def test_over(proxmox): assert proxmox.version.get()\n",
    )
    real.run().assert_outcomes(passed=2)


def test_faults_are_swept_over_the_calls_on_a_real_proxmox(real: Project, sim: Simulator) -> None:
    real.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.proxmox_faults(each_call='drop-after,lock,warnings')\n"
        "def test_it(lxc, proxmox):\n"
        "    proxmox.nodes('pve').lxc(lxc.vmid).config.put(memory=128)\n",
    )
    result = real.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "2 of 2 faults broke the test or leaked:",
            "drop-after at PUT /nodes/pve/lxc/*/config (call 1): BROKE: *",
            "lock at PUT /nodes/pve/lxc/*/config (call 1): BROKE: *",
        ]
    )
    assert vmids(sim) == {THEIRS}


@pytest.mark.parametrize("way", ["real", "embedded"])
def test_failing_test_shows_calls_tasks_and_guests(
    real: Project, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "embedded":
        monkeypatch.setenv("PROXMOX_TARGET", "simulator")
    real.write(
        "test_it.py",
        "def test_it(lxc, proxmox):\n"
        "    proxmox.nodes('pve').lxc(lxc.vmid).snapshot.post(snapname='one', description='x')\n"
        "    proxmox.nodes('pve').lxc(lxc.vmid).status.current.get()\n"
        "    assert 0\n",
    )
    result = real.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*last calls to Proxmox*",
            "POST /nodes/pve/lxc*: 200 OK",
            "GET /nodes/pve/lxc/*/status/current: 200 OK",
            "*live guests on Proxmox*",
            "lxc/9* on pve: running",
        ]
    )


def test_failed_task_is_shown_with_the_end_of_its_log(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_it(lxc, proxmox_faults):\n"
        "    proxmox_faults.end_task('vzsnapshot', 'no space left')\n"
        "    try:\n"
        "        lxc.snapshot('one')\n"
        "    finally:\n"
        "        assert 0\n"
        "def test_other(lxc): assert 0\n",
    )
    result = project.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*failed Proxmox tasks*", "vzsnapshot 9*: no space left", "    TASK ERROR: no space left"]
    )
    assert result.stdout.str().count("failed Proxmox tasks") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--proxmox=replay"], '*target "replay" has no recording*'),
        (["--proxmox-replay=nowhere"], '*there is no recording in "nowhere"*'),
        (["--proxmox-record=a", "--proxmox-replay=b"], "*a replay cannot be recorded*"),
        (["--proxmox-record=a"], "*nothing to record on the embedded Proxmox*"),
        (["--proxmox-keep=all"], '*"all" does not say what to keep*'),
        (["--proxmox-caps=guests=x"], '*"guests=x" is no cap*'),
    ],
    ids=["no folder", "no recording", "both", "embedded", "keep", "caps"],
)
def test_options_that_do_not_fit_are_one_line(
    project: Project, options: list[str], message: str
) -> None:
    project.write("test_it.py", "def test_it(proxmox): pass\n")
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert (result.stdout.str() + result.stderr.str()).count("ERROR: ") == 1
    assert "test_it" not in result.stdout.str()
