"""Task 4.1's file passes on a Proxmox of its own, leaves nothing, and harms no stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.serving import Served, serving

ROOT = Path(__file__).parents[2]
PLAN_FILE = "integration/test_proxmox_real.py"
PLAN_TEXT = Path(__file__).with_name("seed_task_4_1.txt")
PLAN_TESTS = ("test_create_lxc_real", "test_clone_lxc_real")
RUN_TIMEOUT_S = 180

STRANGER = {
    "vmid": 9001,
    "type": "lxc",
    "node": "pve",
    "status": "stopped",
    "config": {"hostname": "somebodys-database", "memory": 256, "description": "do not touch\n"},
}


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


def guest(served: Served, vmid: int) -> tuple[Any, Any]:
    """A container's config and state, as they are now."""
    container = served.api.nodes("pve").lxc(vmid)
    return container.config.get(), container.status.current.get()


@pytest.fixture
def run_plan(tmp_path: Path) -> Callable[..., PytestRun]:
    """Runs the plan's file in a pytest of its own, against a server."""

    def run(served: Served, *selection: str) -> PytestRun:
        report = tmp_path / "report.xml"
        found = subprocess.run(
            [sys.executable, "-m", "pytest", *(selection or [PLAN_FILE]), f"--junitxml={report}"],
            cwd=ROOT, env=os.environ | served.environment | {
                "PROXMOX_HOST": served.address, "PROXMOX_NODE": "pve",
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
    with serving(tmp_path) as served:
        run = run_plan(served)

        assert set(PLAN_TESTS) < run.outcomes.keys()
        assert set(run.outcomes.values()) == {"ok"}, run.output
        assert served.guests() == []


def test_stranger_with_the_plans_vmid_makes_it_fail_and_is_unchanged(
    tmp_path: Path, run_plan: Callable[..., PytestRun]
) -> None:
    world = tmp_path / "world.json"
    world.write_text(json.dumps(world_with(STRANGER)), encoding="utf-8")
    with serving(tmp_path, world=str(world)) as served:
        before = guest(served, 9001)

        run = run_plan(served, *(f"{PLAN_FILE}::{name}" for name in PLAN_TESTS))

        assert run.outcomes == dict.fromkeys(PLAN_TESTS, "failure"), run.output
        assert "VMID 9001 is taken" in run.output
        assert "guest 9001 is foreign, not touched" in run.output
        assert guest(served, 9001) == before
        assert served.guests() == [9001]


def test_plans_file_is_skipped_with_its_reason_where_no_host_is_named() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", PLAN_FILE, "-q", "-rs"],
        cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout
    assert "Real Proxmox integration tests require PROXMOX_HOST env var" in run.stdout
    assert "passed" not in run.stdout
