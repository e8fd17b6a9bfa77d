"""The role's tests: each plays it for a container of its own, and looks at the Proxmox."""

from __future__ import annotations

import pytest


@pytest.fixture
def status(proxmox, proxmox_target, vmid):
    """``status()`` returns the container's state; None where there is none."""

    def ask():
        rows = proxmox.nodes(proxmox_target.node).lxc.get()
        return next((row["status"] for row in rows if row["vmid"] == vmid), None)

    return ask


def test_a_second_run_changes_nothing(play, status):
    first = play()
    assert (first.code, first.changed) == (
        0,
        ["container : The container is there", "container : The container runs, or does not"],
    )
    assert status() == "running"
    second = play()
    assert (second.code, second.changed) == (0, [])


def test_a_container_is_stopped_and_removed(play, status):
    play()
    assert play(state="stopped").changed == ["container : The container runs, or does not"]
    assert status() == "stopped"
    assert play(state="absent").changed == ["container : The container is gone"]
    assert status() is None


def test_a_container_has_the_memory_that_was_asked_for(play, proxmox, proxmox_target, vmid):
    play(memory=512)
    assert proxmox.nodes(proxmox_target.node).lxc(vmid).config.get()["memory"] == 512


def test_a_locked_storage_fails_the_play_and_leaves_nothing(play, status, proxmox_faults):
    proxmox_faults.fail("POST", "/nodes/*/lxc", error="storage-lock")
    played = play()
    assert played.code == 2
    assert "got timeout" in played.text
    assert status() is None
