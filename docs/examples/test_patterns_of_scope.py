"""Guests that cost less than one made for each test, and fixtures made from ours."""

import pytest


@pytest.fixture
def web(proxmox_sandbox):
    """A web server of this project: ours, with what the project always wants."""
    return proxmox_sandbox.lxc(hostname="web", memory=256).start()


def test_a_fixture_of_the_project_is_built_on_ours(web):
    assert web.config()["memory"] == 256


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_container_is_as_new_for_each_test(warm_lxc, proxmox, attempt):
    assert "tags" not in warm_lxc.config()
    proxmox(warm_lxc.path("config")).put(tags=f"attempt{attempt}")


def test_a_backup_goes_with_its_guest(lxc, proxmox_sandbox, proxmox, proxmox_target):
    volume = proxmox_sandbox.backup(lxc)
    storage = proxmox.nodes(proxmox_target.node).storage(proxmox_target.backup_storage)
    assert str(volume) in [row["volid"] for row in storage.content.get(content="backup")]
