"""The first tests of an app of one's own: it works, it fails well, it meets what is there."""

import pytest
from deployer import DeployError, deploy


@pytest.fixture
def place(proxmox_target, vmid):
    """Where the app shall deploy to, under the test's own VMID."""
    facts = proxmox_target
    return {
        "node": facts.node,
        "vmid": vmid,
        "template": facts.template,
        "storage": facts.storage,
    }


def test_a_deployed_container_runs(proxmox, place):
    deploy(proxmox, **place)
    container = proxmox.nodes(place["node"]).lxc(place["vmid"])
    assert container.status.current.get()["status"] == "running"


def test_an_id_that_is_taken_is_told(proxmox, place, lxc):
    with pytest.raises(DeployError, match="already exists"):
        deploy(proxmox, **{**place, "vmid": lxc.vmid})


def test_a_busy_storage_is_told(proxmox, place, proxmox_faults):
    proxmox_faults.fail("POST", "/nodes/*/lxc", error="storage-lock")
    with pytest.raises(DeployError, match="got timeout"):
        deploy(proxmox, **place)
