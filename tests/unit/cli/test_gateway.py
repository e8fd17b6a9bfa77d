"""``gateway``: an app in another process works on guests of its own, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proxmoxer
import pytest
import requests
from proxmoxer.core import ResourceException

from pytest_proxmox.cli.main import main
from pytest_proxmox.clock import SystemClock
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.target.tasks import wait

THEIRS = 9001
START_S = 60


@dataclass
class Running:
    """A gateway in a process of its own, and what its ready file says."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    def api(self) -> Any:
        """Return a client with the token that the ready file names."""
        name = self.ready["token_id"].partition("!")[2]
        return proxmoxer.ProxmoxAPI(
            self.ready["url"].removeprefix("https://"),
            user=self.ready["user"],
            token_name=name,
            token_value=self.ready["token_secret"],
            verify_ssl=self.ready["ca_file"],
        )

    def make(self) -> int:
        """Make a container as an app does, and wait."""
        api = self.api()
        vmid = int(api.cluster.nextid.get())
        template, storage = self.ready["template"], self.ready["storage"]
        order = {"vmid": vmid, "ostemplate": template, "rootfs": f"{storage}:1"}
        upid = api.nodes(self.ready["node"]).lxc.post(**order)
        wait(api, upid, timeout_s=START_S, clock=SystemClock()).demand("create")
        return vmid

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        """Return what the control plane answers."""
        headers = {"Authorization": f"Bearer {self.ready['control_token']}"}
        url = self.ready["control_url"] + path
        answer = requests.request(
            method, url, headers=headers, json=body, verify=self.ready["ca_file"], timeout=START_S
        )
        answer.raise_for_status()
        return answer.json()

    def stop(self) -> tuple[int, str, str]:
        """End it as a CI does; its exit status and what it said."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=START_S)
        return self.process.returncode, out, err


@pytest.fixture
def running(
    server: Server, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """A gateway before a Proxmox with a foreign guest, with the token that ``setup`` made."""
    server.simulator.plant(vmid=THEIRS, type="lxc", node="pve", config={})
    assert main(["setup", "--as", "root@pam"]) == 0
    for line in capsys.readouterr().out.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    monkeypatch.delenv("PROXMOX_PASSWORD")
    ready = here / "ready.json"
    command = [sys.executable, "-m", "pytest_proxmox", "gateway", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready), "--record", str(here / "tape")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    start = SystemClock().monotonic()
    while not ready.exists() and process.poll() is None:
        assert SystemClock().monotonic() - start < START_S
        SystemClock().sleep(0.05)
    try:
        yield Running(process, json.loads(ready.read_text()))
    finally:
        if process.poll() is None:
            process.terminate()  # it cleans up, and can be measured
            try:
                process.communicate(timeout=START_S)
            finally:
                process.kill()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reaper that is told to wait for a second only; by itself it waits for twenty."""
    monkeypatch.setenv("PROXMOX_REAPER_GRACE", "1")


def vmids(server: Server) -> set[int]:
    """Return the VMIDs of all guests."""
    return {guest.vmid for guest in server.simulator.guests()}


def test_apps_guests_are_gone_when_it_stops(running: Running, server: Server, here: Path) -> None:
    vmid = running.make()
    assert vmids(server) == {THEIRS, vmid}
    status, out, err = running.stop()
    assert (status, vmids(server)) == (0, {THEIRS})
    assert "Guarding https://127.0.0.1:" in out
    assert err.endswith("Stopped; 0 left on the Proxmox.\n")
    assert not (here / "ready.json").exists()
    assert running.ready["token_secret"] not in (here / "tape/exchanges-gateway.jsonl").read_text()


def test_refused_call_is_told_and_ends_it_with_1(running: Running, server: Server) -> None:
    with pytest.raises(ResourceException, match="403"):
        running.api().nodes("pve").lxc(THEIRS).delete()
    assert [one["what"] for one in running.control("GET", "/refusals")] == [
        f"DELETE /nodes/pve/lxc/{THEIRS}"
    ]
    status, _, err = running.stop()
    assert status == 1
    assert f"DELETE /nodes/pve/lxc/{THEIRS} was refused: guest {THEIRS} is not leased" in err
    assert vmids(server) == {THEIRS}


def test_control_plane_has_faults_calls_and_clean_up(running: Running, server: Server) -> None:
    running.make()
    fault = {"effect": "error", "path": "/version", "error": "broken-pipe", "times": 1}
    running.control("POST", "/faults", **fault)
    assert [rule["path"] for rule in running.control("GET", "/faults")] == ["/version"]
    with pytest.raises(ResourceException, match="596"):
        running.api().version.get()
    assert any(one["path"] == "/version" for one in running.control("GET", "/calls"))
    assert running.control("DELETE", "/faults") == {}
    assert running.control("GET", "/faults") == []
    assert running.control("POST", "/release") == {"leftovers": []}
    assert vmids(server) == {THEIRS}
    with pytest.raises(requests.HTTPError, match="400"):
        running.control("POST", "/faults", effect="slow-task")
    with pytest.raises(requests.HTTPError, match="404"):
        running.control("PUT", "/faults")
    running.ready["control_token"] = "wrong"
    with pytest.raises(requests.HTTPError, match="401"):
        running.control("GET", "/calls")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--port", "99999"], "is not a port"),
        (["--ready-file", "/nowhere/x"], "no file can be made"),
        ([], "no Proxmox is named"),
    ],
    ids=["port", "ready file", "no Proxmox"],
)
def test_bad_input_is_one_line(
    here: Path, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["gateway", *argv])
    except SystemExit as exc:
        status = int(str(exc.code))
    assert status == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_after_a_kill_the_reaper_waits_as_long_as_it_was_told(
    soon: None, running: Running, server: Server
) -> None:
    running.make()
    running.process.kill()
    running.process.communicate(timeout=START_S)
    start = SystemClock().monotonic()
    # It gives its block back last, and ends; without its Proxmox it would go on trying.
    while vmids(server) != {THEIRS} or set(server.simulator.state.pools) != {"pytest"}:
        assert SystemClock().monotonic() - start < 15
        SystemClock().sleep(0.1)
