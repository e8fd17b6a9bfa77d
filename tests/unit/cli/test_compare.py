"""``pytest-proxmox compare``: finds what differs, and leaves nothing on the Proxmox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.cli.compare import stoppable
from pytest_proxmox.cli.contract import SCRIPTS
from pytest_proxmox.cli.main import BAD_INPUT, main
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

THEIRS = 9000
PATIENCE_S = 60.0
STEPS = sum(len(script.steps) for script in SCRIPTS)


@pytest.fixture
def node(server: Server) -> Server:
    """A Proxmox with somebody else's container in the middle of the range."""
    server.simulator.plant(vmid=THEIRS, type="lxc", node="pve", config={})
    return server


def _assert_nothing_is_left(server: Server) -> None:
    state = server.simulator.state
    assert [guest.vmid for guest in server.simulator.guests()] == [THEIRS]
    assert {volume.vmid for volume in state.volumes.values()} <= {None, THEIRS}
    assert {pool for pool in state.pools if pool != "pytest"} == set()


def _until(is_so: Callable[[], bool]) -> None:
    clock = SystemClock()
    start = clock.monotonic()
    while not is_so():
        assert clock.monotonic() - start < PATIENCE_S
        clock.sleep(0.05)


def test_two_that_are_alike_have_no_difference(
    node: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare"]) == 0
    assert f"No difference in {STEPS} calls of https://127.0.0.1:" in capsys.readouterr().out
    _assert_nothing_is_left(node)


def test_a_token_with_few_rights_is_enough(
    node: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["setup", "--as", "root@pam"]) == 0
    for line in capsys.readouterr().out.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    monkeypatch.delenv("PROXMOX_PASSWORD")
    assert main(["compare", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["steps"], told["differences"], told["skipped"]) == (STEPS, [], {})
    _assert_nothing_is_left(node)


@pytest.mark.parametrize(
    ("fault", "depth", "step"),
    [
        (
            {"effect": "error", "path": "/nodes/*/lxc/*/config", "method": "GET", "nth": 1},
            "status",
            "its configuration",
        ),
        (
            {"effect": "error", "path": "/nodes/*/lxc/*/status/stop", "nth": 2, "text": "not now"},
            "reason",
            "stop it again",
        ),
        ({"effect": "task-warnings", "task": "vzstart"}, "task", "start it"),
        (
            {"effect": "drop", "path": "/nodes/*/lxc/*/status/start", "nth": 2, "phase": "after"},
            "status",
            "start it again",
        ),
    ],
    ids=["status", "reason", "task", "no answer"],
)
def test_a_difference_is_listed_and_ends_it_with_1(
    fault: dict[str, Any], depth: str, step: str, node: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    node.simulator.faults.add(**fault)
    assert main(["compare", "container", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["differences"]
    assert (found["script"], found["depth"], found["step"]) == ("container", depth, step)
    _assert_nothing_is_left(node)


def test_a_difference_is_told_with_both_answers(
    node: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/nodes/*/lxc/*/status/stop"
    node.simulator.faults.add(effect="error", path=path, nth=2, text="not now")
    assert main(["compare", "container"]) == 1
    out = capsys.readouterr().out
    assert "container: stop it again\n  POST /nodes/pve/lxc/9001/status/stop\n" in out
    assert "  reason: 'CT 9001 not running' for 'not now'\n" in out
    assert "1 difference in 20 calls" in out


def test_what_a_node_has_nothing_for_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dict(World.preset("single").data) | {"volumes": []}  # no template yet
    with Server(Simulator(World.parse(data, origin="here"))) as running:
        monkeypatch.setenv("PROXMOX_HOST", f"127.0.0.1:{running.port}")
        monkeypatch.setenv("PROXMOX_VERIFY_SSL", str(running.ca_file))
        monkeypatch.setenv("PROXMOX_PASSWORD", running.simulator.credentials.password)
        assert main(["compare"]) == 0
    out = capsys.readouterr().out
    assert "container backup: not compared, the node has no template\n" in out
    assert "No difference in 26 calls" in out


def test_an_unknown_script_is_told_with_the_known_ones(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "moon"]) == BAD_INPUT
    err = capsys.readouterr().err
    assert 'there is no script "moon" (argument SCRIPT). There are mistakes, container,' in err


def test_without_a_proxmox_it_says_what_to_set(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROXMOX_HOST", raising=False)
    assert main(["compare"]) == BAD_INPUT
    assert "no Proxmox is named. Set PROXMOX_HOST" in capsys.readouterr().err


@pytest.mark.usefixtures("heeding_signals")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_in_a_finaliser_is_not_lost(number: signal.Signals) -> None:
    class Held:
        def __del__(self) -> None:
            signal.raise_signal(number)

    with stoppable() as stop_if_asked:
        stop_if_asked()
        held = Held()
        del held  # what is raised there, Python drops
        with pytest.raises(KeyboardInterrupt, match=number.name):
            stop_if_asked()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("heeding_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_it_is_stopped(number: signal.Signals, node: Server) -> None:
    # The restore is the second create of a container: by then there are a guest and a backup.
    node.simulator.faults.add(
        effect="latency", method="POST", path="/nodes/*/lxc", nth=2, seconds=3.0
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_proxmox", "compare", "container-backup"],
        env={**os.environ, "PROXMOX_REAPER_GRACE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    volumes = node.simulator.state.volumes
    with process:
        _until(lambda: any(v.content == "backup" for v in list(volumes.values())))
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (-number if number == signal.SIGKILL else 130), out + err
    _until(lambda: not any(pool != "pytest" for pool in list(node.simulator.state.pools)))
    _assert_nothing_is_left(node)
