"""The first test for a real node: skipped where none is named."""

import pytest


@pytest.mark.real_proxmox
def test_a_snapshot_brings_the_configuration_back(lxc, proxmox):
    before = lxc.stop().snapshot("before").config()["memory"]
    proxmox(lxc.path("config")).put(memory=before + 64)
    lxc.rollback("before")
    assert lxc.config()["memory"] == before
