"""Ansible from the database: inventory, variables, playbooks, and nothing that is evaluated."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from src_app.iac.ansible.documents import document
from src_app.iac.ansible.project import ansible
from src_app.iac.state import ClusterState, GuestFacts
from tests.generators.clusters import CLUSTER, SECRET
from tests.generators.test_worlds import load

FILES = ansible(CLUSTER)
GROUPS = load(FILES["inventory.yml"])["all"]["children"]


def test_every_guest_is_in_the_groups_of_its_kind_state_node_and_tags() -> None:
    hosts = {name: list(group.get("hosts", {})) for name, group in GROUPS.items()}
    assert hosts == {
        "proxmox_nodes": ["node-pve-node", "node-pve-2-node"],
        "guests": [],
        "vms": ["web-1-101", "golden-103", "seen-104"],
        "containers": ["db-102"],
        "on_node_pve": ["web-1-101", "golden-103", "seen-104"],
        "on_node_pve_2": ["db-102"],
        "running": ["web-1-101", "seen-104"],
        "stopped": ["db-102"],
        "tag_prod": ["web-1-101", "db-102"],
        "tag_web": ["web-1-101"],
        "templates": ["golden-103"],
    }


def test_every_host_can_be_reached() -> None:
    reached = {
        name: facts["ansible_host"]
        for group in ("proxmox_nodes", "vms", "containers")
        for name, facts in GROUPS[group]["hosts"].items()
    }
    assert reached == {
        "node-pve-node": "10.0.0.1",
        "node-pve-2-node": "pve-2",
        "web-1-101": "10.0.0.21",
        "db-102": "10.0.0.22",
        "golden-103": "golden",
        "seen-104": "seen",
    }


def test_disks_are_asked_for_by_size_not_by_the_volume_that_they_are() -> None:
    devices = load(FILES["host_vars/web-1-101.yml"])["proxmox_devices"]
    assert devices["scsi"] == {"scsi0": "local-lvm:8,ssd=1,discard=on,iothread=1,mbps_rd=10"}
    assert devices["ide"] == {
        "ide0": "local-lvm:cloudinit",
        "ide2": "local:iso/debian.iso,media=cdrom,size=600M",
    }
    assert devices["efidisk0"] == {
        "storage": "local-lvm",
        "efitype": "4m",
        "pre_enrolled_keys": True,
    }
    mounts = load(FILES["host_vars/db-102.yml"])["proxmox_devices"]["mount_volumes"]
    assert mounts[0] | {"options": {}} == {
        "id": "mp0",
        "mountpoint": "/srv",
        "storage": "local-lvm",
        "size": 4,
        "options": {},
    }
    assert mounts[1]["host_path"] == "/mnt/shared"


def test_no_secret_is_in_any_file() -> None:
    assert [name for name, text in FILES.items() if SECRET in text] == []


def test_the_order_of_rows_changes_no_byte() -> None:
    turned = ClusterState.of(
        reversed(CLUSTER.nodes), reversed(CLUSTER.guests), reversed(CLUSTER.storages)
    )
    assert ansible(turned) == FILES


def test_every_file_is_yaml_but_the_configuration() -> None:
    for name, text in FILES.items():
        if name != "ansible.cfg":
            assert isinstance(load(text), dict | list), name


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_text_that_looks_like_a_template_is_marked_as_none(value: Any) -> None:
    text = document({"value": value, "name": "{{ lookup('env', 'HOME') }}"})
    assert text.endswith("name: !unsafe \"{{ lookup('env', 'HOME') }}\"\n")
    assert load(text)["value"] == value
    for token in yaml.compose(text).value:  # type: ignore[union-attr]  # a mapping
        scalar = token[1]
        if isinstance(scalar, yaml.ScalarNode) and "{{" in scalar.value:
            assert scalar.tag == "!unsafe"


def test_a_guests_name_is_never_evaluated() -> None:
    guest = GuestFacts("vm", 100, "{{ evil }}", "pve")
    files = ansible(ClusterState.of(guests=[guest]))
    assert 'proxmox_name: !unsafe "{{ evil }}"' in files["host_vars/evil-100.yml"]
    assert 'ansible_host: !unsafe "{{ evil }}"' in files["inventory.yml"]
