"""``--proxmox-caps``: a run uses no more at a time; what can never fit is told at once."""

from __future__ import annotations

from tests.plugin.conftest import Project


def test_guest_over_the_cap_is_a_clear_error_and_leaves_nothing(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_too_many(lxc, proxmox_sandbox):\n"
        "    proxmox_sandbox.lxc()\n"
        "def test_clone_counts(lxc):\n"
        "    lxc.clone()\n"
        "def test_one_after_the_other(proxmox_sandbox, proxmox_simulator):\n"
        "    for _ in range(3):\n"
        "        proxmox_sandbox.lxc().destroy()\n"
        "def test_nothing_is_left(proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n",
    )
    result = project.run("--proxmox-caps=guests=1")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        ["*over its caps: guests: 2 are needed at a time, and the cap is 1 (--proxmox-caps)*"]
    )


def test_memory_and_disk_are_capped(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "from pytest_proxmox.errors import OverCap\n"
        "def test_it(proxmox_sandbox):\n"
        "    with pytest.raises(OverCap, match='memory: 2048 MiB'):\n"
        "        proxmox_sandbox.lxc(memory=2048)\n"
        "    with pytest.raises(OverCap, match='disk: 9 GiB'):\n"
        "        proxmox_sandbox.lxc(rootfs='local-lvm:9')\n"
        "    proxmox_sandbox.lxc(memory=1024, rootfs='local-lvm:8')\n",
    )
    project.run("--proxmox-caps=memory=1G,disk=8G").assert_outcomes(passed=1)
