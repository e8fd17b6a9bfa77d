"""The command's tests: no mock, no Proxmox to install, and nothing to clean up by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lab.__main__ import main

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def guests(proxmox):
    """``guests()`` returns the ids of all guests."""
    return lambda: {row["vmid"] for row in proxmox.cluster.resources.get(type="vm")}


@pytest.fixture
def environ(proxmox_config, proxmox_target):
    """The variables that lead the command to the Proxmox of the test."""
    return {
        "PROXMOX_HOST": f"{proxmox_config['host']}:{proxmox_config['port']}",
        "PROXMOX_USER": proxmox_config["user"],
        "PROXMOX_PASSWORD": proxmox_config["password"],
        "PROXMOX_VERIFY_SSL": str(proxmox_config["verify_ssl"]),
        "PROXMOX_NODE": proxmox_target.node,
    }


@pytest.fixture
def new(environ, proxmox_target, vmid, capsys):
    """``new(name)`` runs ``lab new`` with the test's own id: exit code, and what it printed."""
    where = ["--template", proxmox_target.template, "--storage", proxmox_target.storage]

    def run(name):
        code = main(["new", name, "--vmid", str(vmid), *where], environ)
        return code, capsys.readouterr()

    return run


def test_new_makes_a_running_container_and_prints_its_id(new, vmid, proxmox, proxmox_target):
    code, said = new("web")
    assert (code, said.out) == (0, f"{vmid}\n")
    guest = proxmox.nodes(proxmox_target.node).lxc(vmid).status.current.get()
    assert (guest["name"], guest["status"]) == ("web", "running")


def test_list_shows_id_name_and_state(environ, proxmox_sandbox, capsys):
    guest = proxmox_sandbox.lxc(hostname="db")
    assert main(["list"], environ) == 0
    assert f"{guest.vmid} db stopped" in capsys.readouterr().out.splitlines()


def test_remove_destroys_a_running_container(environ, lxc, guests):
    assert main(["remove", str(lxc.vmid)], environ) == 0
    assert lxc.vmid not in guests()


def test_remove_says_what_is_not_there(environ, vmid, capsys):
    assert main(["remove", str(vmid)], environ) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("call", ["/nodes/*/lxc", "/nodes/*/lxc/*/status/start"])
def test_new_leaves_nothing_behind_when_a_call_fails(new, guests, proxmox_faults, call):
    before = guests()
    proxmox_faults.fail("POST", call, error="storage-lock")
    code, said = new("web")
    assert (code, said.out) == (1, "")
    assert "got timeout" in said.err
    assert guests() == before


def test_the_command_runs_as_a_process_of_its_own(environ, lxc):
    done = subprocess.run(
        [sys.executable, "-m", "lab", "list"],
        env={**os.environ, **environ},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{lxc.vmid} {lxc.name} running" in done.stdout
