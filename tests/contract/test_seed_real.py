"""Task 4.1's file passes on a Proxmox of its own, leaves nothing, and harms no stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI

ROOT = Path(__file__).parents[2]
PLAN_FILE = "integration/test_proxmox_real.py"
PLAN_TEXT = Path(__file__).with_name("seed_task_4_1.txt")
PLAN_TESTS = ("test_create_lxc_real", "test_clone_lxc_real")
START_TIMEOUT_S = 60
RUN_TIMEOUT_S = 180

STRANGER = {
    "vmid": 9001,
    "type": "lxc",
    "node": "pve",
    "status": "stopped",
    "config": {"hostname": "somebodys-database", "memory": 256, "description": "do not touch\n"},
}


@dataclass(frozen=True)
class Served:
    """A running ``pytest-proxmox serve`` and a client of its own."""

    ready: dict[str, str]
    api: Any

    def guests(self) -> list[int]:
        return sorted(guest["vmid"] for guest in self.api.cluster.resources.get(type="vm"))

    def guest(self, vmid: int) -> tuple[Any, Any]:
        guest = self.api.nodes("pve").lxc(vmid)
        return guest.config.get(), guest.status.current.get()


@dataclass(frozen=True)
class PytestRun:
    """How a pytest of its own ended: the outcome of each test by name, and its output."""

    outcomes: dict[str, str]
    output: str


def world_with(*guests: dict[str, Any]) -> dict[str, Any]:
    """The preset ``single`` as a world file, with ``guests`` in it."""
    everything = ["images", "rootdir", "vztmpl", "iso", "backup"]
    return {
        "nodes": {"pve": {"maxcpu": 4, "maxmem": 16 << 30, "bridges": ["vmbr0"]}},
        "storages": {
            "local": {"type": "dir", "path": "/var/lib/vz", "content": everything, "size": 1 << 37},
            "local-lvm": {"type": "lvmthin", "content": ["images", "rootdir"], "size": 1 << 37},
        },
        "volumes": [
            {
                "volid": "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz",
                "size": 3_000_000,
                "ostype": "alpine",
            }
        ],
        "users": {"root@pam": {"password": "secret"}},
        "guests": list(guests),
    }


@contextmanager
def serving(folder: Path, world: str) -> Iterator[Served]:
    ready_file = folder / "ready.json"
    command = [Path(sys.executable).with_name("pytest-proxmox"), "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--world", world, "--ready-file", str(ready_file)],
        stdout=subprocess.DEVNULL,
    )
    try:
        ready = json.loads(wait_for(ready_file, process))
        host, port = ready["url"].removeprefix("https://").split(":")
        yield Served(
            ready,
            ProxmoxAPI(
                host, port=port, user=ready["user"], password=ready["password"],
                verify_ssl=ready["ca_file"], timeout=30,
            ),
        )  # fmt: skip
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def wait_for(ready_file: Path, process: subprocess.Popen[bytes]) -> str:
    """The ready file's text; waiting for the process itself shows at once when it died."""
    for _ in range(START_TIMEOUT_S * 20):
        if ready_file.exists():
            return ready_file.read_text(encoding="utf-8")
        try:
            pytest.fail(f"serve ended with {process.wait(0.05)}")
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"serve wrote no ready file within {START_TIMEOUT_S} s")


@pytest.fixture
def run_plan(tmp_path: Path) -> Callable[..., PytestRun]:
    """Runs the plan's file in a pytest of its own, against a server."""

    def run(served: Served, *selection: str) -> PytestRun:
        report = tmp_path / "report.xml"
        address = served.ready["url"].removeprefix("https://")
        found = subprocess.run(
            [sys.executable, "-m", "pytest", *(selection or [PLAN_FILE]), f"--junitxml={report}"],
            cwd=ROOT, env=os.environ | {
                "PROXMOX_HOST": address, "PROXMOX_USER": served.ready["user"],
                "PROXMOX_PASSWORD": served.ready["password"], "PROXMOX_NODE": "pve",
            },
            capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
        )  # fmt: skip
        cases = ET.parse(report).iter("testcase")  # noqa: S314 - pytest's own report
        outcomes = {case.attrib["name"]: outcome_of(case) for case in cases}
        return PytestRun(outcomes, found.stdout + found.stderr)

    return run


def outcome_of(case: ET.Element) -> str:
    return next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "ok")


def test_file_is_the_plans_with_one_import_added() -> None:
    added = "from src_app.proxmox import ProxmoxService\n\n"
    text = (ROOT / PLAN_FILE).read_text(encoding="utf-8")

    assert text.replace(added, "", 1).startswith(PLAN_TEXT.read_text(encoding="utf-8"))


def test_plans_file_passes_and_the_server_has_no_guest_afterwards(
    tmp_path: Path, run_plan: Callable[..., PytestRun]
) -> None:
    with serving(tmp_path, "single") as served:
        run = run_plan(served)

        assert set(PLAN_TESTS) < run.outcomes.keys()
        assert set(run.outcomes.values()) == {"ok"}, run.output
        assert served.guests() == []


def test_stranger_with_the_plans_vmid_makes_it_fail_and_is_unchanged(
    tmp_path: Path, run_plan: Callable[..., PytestRun]
) -> None:
    world = tmp_path / "world.json"
    world.write_text(json.dumps(world_with(STRANGER)), encoding="utf-8")
    with serving(tmp_path, str(world)) as served:
        before = served.guest(9001)

        run = run_plan(served, *(f"{PLAN_FILE}::{name}" for name in PLAN_TESTS))

        assert run.outcomes == dict.fromkeys(PLAN_TESTS, "failure"), run.output
        assert "VMID 9001 is taken" in run.output
        assert "guest 9001 is foreign, not touched" in run.output
        assert served.guest(9001) == before
        assert served.guests() == [9001]


def test_plans_file_is_skipped_with_its_reason_where_no_host_is_named() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", PLAN_FILE, "-q", "-rs"],
        cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout
    assert "Real Proxmox integration tests require PROXMOX_HOST env var" in run.stdout
    assert "passed" not in run.stdout
