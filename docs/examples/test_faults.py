"""Tests of what happens when Proxmox misbehaves."""

import pytest
from deployer import DeployError, deploy


@pytest.fixture
def place(proxmox_target, vmid):
    """Where the app deploys: a VMID that is leased, so it is freed whatever happens."""
    facts = proxmox_target
    return {
        "node": facts.node,
        "vmid": vmid,
        "template": facts.template,
        "storage": facts.storage,
    }


def test_a_lock_is_told(proxmox, proxmox_faults, place):
    proxmox_faults.fail("POST", "/nodes/*/lxc", error="storage-lock", times=1)
    with pytest.raises(DeployError, match="got timeout"):
        deploy(proxmox, **place)


def test_a_failed_task_is_told(proxmox, proxmox_faults, place):
    proxmox_faults.end_task("vzcreate", "unable to create CT - disk quota exceeded")
    with pytest.raises(DeployError, match="quota"):
        deploy(proxmox, **place)


def test_a_lost_answer_is_told(proxmox, proxmox_faults, place):
    proxmox_faults.drop("POST", "/nodes/*/lxc", phase="after")  # made, and nobody hears of it
    with pytest.raises(DeployError):
        deploy(proxmox, **place)
