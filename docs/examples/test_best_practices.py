"""The good habits of the guide, each as a test."""

import asyncio

import pytest
from deployer import DeployError, deploy


@pytest.fixture
def deployed(proxmox, proxmox_target, vmid):
    """A container that our own code made; it goes with the VMID's lease."""
    facts = proxmox_target
    deploy(proxmox, facts.node, vmid, facts.template, facts.storage)
    return proxmox.nodes(facts.node).lxc(vmid)


def test_the_outcome_is_looked_at_where_it_shows(deployed):
    assert deployed.status.current.get()["status"] == "running"


def test_a_refused_deployment_leaves_nothing(proxmox, proxmox_target, proxmox_faults, vmid):
    facts = proxmox_target
    proxmox_faults.fail("POST", "/nodes/*/lxc", error="storage-lock")
    with pytest.raises(DeployError, match="not made"):
        deploy(proxmox, facts.node, vmid, facts.template, facts.storage)
    assert vmid not in [row["vmid"] for row in proxmox.nodes(facts.node).lxc.get()]


async def wait_for_it(is_there, *, every_s):
    """Poll, as code that waits for a backup does."""
    for _ in range(1000):
        if is_there():
            return
        await asyncio.sleep(every_s)


def test_an_hour_of_polling_takes_no_time(virtual_clock):
    asyncio.run(wait_for_it(lambda: virtual_clock.elapsed_s >= 3600, every_s=5))
    assert 3600 <= virtual_clock.elapsed_s < 3610


@pytest.mark.critical
@pytest.mark.parametrize("memory", [128, 512], ids=["small", "large"])
def test_memory_is_what_was_asked_for(proxmox_sandbox, memory):
    assert proxmox_sandbox.lxc(memory=memory).config()["memory"] == memory
