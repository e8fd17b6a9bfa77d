"""Two tests of a container: one is given it, one makes its own."""


def test_a_stopped_container_starts_again(lxc):
    lxc.stop()
    assert lxc.status() == "stopped"
    lxc.start()
    assert lxc.status() == "running"


def test_our_own_code_makes_a_container(proxmox, proxmox_target, vmid, register_container):
    node = proxmox.nodes(proxmox_target.node)
    register_container(vmid, proxmox_target.node)
    node.lxc.post(
        vmid=vmid,
        hostname="ours",
        ostemplate=proxmox_target.template,
        storage=proxmox_target.storage,
    )
    assert "ours" in [guest["name"] for guest in node.lxc.get()]
