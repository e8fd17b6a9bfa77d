"""The role, played on the Proxmox of the test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Played:
    """How a playbook ended: what changed, by the tasks' names, and what it printed."""

    code: int
    changed: list[str]
    text: str


@pytest.fixture
def environ(proxmox_config, tmp_path):
    """The variables by which community.proxmox finds the Proxmox of the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return kept | {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "PROXMOX_HOST": proxmox_config["host"],
        "PROXMOX_PORT": str(proxmox_config["port"]),
        "PROXMOX_USER": proxmox_config["user"],
        "PROXMOX_PASSWORD": proxmox_config["password"],
        "PROXMOX_VALIDATE_CERTS": "true",
        "REQUESTS_CA_BUNDLE": str(proxmox_config["verify_ssl"]),
    }


@pytest.fixture
def play(environ, proxmox_target, vmid):
    """``play(state=…)`` runs the role for a container under the test's own VMID."""
    command = shutil.which("ansible-playbook")
    if command is None:
        pytest.skip("ansible-playbook is not installed")
    facts = {
        "container_vmid": vmid,
        "container_name": "web",
        "container_node": proxmox_target.node,
        "container_template": proxmox_target.template,
        "container_storage": proxmox_target.storage,
    }

    def run(**variables):
        given = facts | {f"container_{name}": value for name, value in variables.items()}
        done = subprocess.run(
            [command, "-i", "localhost,", PROJECT / "site.yml", "-e", json.dumps(given)],
            env=environ,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        (played,) = json.loads(done.stdout)["plays"]
        results = {task["task"]["name"]: task["hosts"]["localhost"] for task in played["tasks"]}
        changed = [name for name, result in results.items() if result["changed"]]
        return Played(done.returncode, changed, done.stdout + done.stderr)

    return run
