"""Which fixture for what."""

import pytest


def test_one_container(lxc):
    assert lxc.status() == "running"


def test_several_guests(proxmox_sandbox):
    web = proxmox_sandbox.lxc(hostname="web", memory=256)
    copy = web.clone(hostname="copy")
    assert copy.vmid != web.vmid


def test_a_snapshot_is_rolled_back(lxc):
    lxc.snapshot("before")
    lxc.rollback("before")
    assert lxc.config()["hostname"] == lxc.name


@pytest.mark.vmid_range(size=3)
def test_three_ids_in_a_row(vmid, register_container, proxmox, proxmox_target):
    facts = proxmox_target
    ours = range(vmid, vmid + 3)
    for number in ours:
        register_container(number)
        proxmox.nodes(facts.node).lxc.post(
            vmid=number, ostemplate=facts.template, storage=facts.storage
        )
    there = {row["vmid"] for row in proxmox.nodes(facts.node).lxc.get()}
    assert there.issuperset(ours)


@pytest.fixture(scope="module")
def shared(proxmox_sandbox_module):
    """One container for all tests of this module, which only read it."""
    return proxmox_sandbox_module.lxc(hostname="shared")


def test_a_guest_of_the_module(shared):
    assert shared.status() == "stopped"


def test_what_the_embedded_proxmox_was_asked(lxc, proxmox_simulator):
    made = [call for call in proxmox_simulator.calls if call.method == "POST"]
    assert made
    assert proxmox_simulator.guest(lxc.vmid) is not None


def test_a_machine_that_was_there_before(proxmox_simulator, proxmox, proxmox_target):
    proxmox_simulator.plant(vmid=101, type="qemu", status="running")
    machines = proxmox.nodes(proxmox_target.node).qemu.get()
    assert [machine["vmid"] for machine in machines] == [101]
