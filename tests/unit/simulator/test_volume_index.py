"""The index of volumes says what looking through all of them says, whatever happened to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.simulator.state import Volume
from pytest_proxmox.simulator.store import Store
from pytest_proxmox.simulator.volume_index import VolumeIndex

NODES = st.sampled_from(["", "pve1", "pve2"])
NAMES = st.sampled_from(["vm-1-disk-0", "vm-1-disk-1", "base-2-disk-0"])
VOLUMES = st.builds(
    lambda node, storage, name, used, vmid, parent: Volume(
        f"{storage}:{name}", node, "images", "raw", 10, used, vmid, parent=parent
    ),
    NODES,
    st.sampled_from(["local", "thin"]),
    NAMES,
    st.integers(0, 9),
    st.sampled_from([1, 2, None]),
    st.none() | NAMES,
)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "drop", "mark", "back"]), VOLUMES), max_size=30)


@given(STEPS)
def test_the_index_follows_changes_removals_and_restores(steps: list[tuple[str, Volume]]) -> None:
    store, index = Store(), VolumeIndex()
    table = store.table("volumes")
    table.on_change = index.follow
    mark = store.snapshot()
    for step, volume in steps:
        key = (volume.node, volume.volid)
        if step == "put":
            table[key] = volume
        elif step == "drop":
            table.pop(key)
        elif step == "mark":
            mark = store.snapshot()
        else:
            store.restore(mark)
    for volume in table.values():
        there = [v for v in table.values() if (v.node, v.storage) == (volume.node, volume.storage)]
        assert index.used(volume.node, volume.storage) == sum(v.used for v in there)
        assert index.on_storage(volume.node, volume.storage) == sorted(keys_of(there))
        below = [v for v in there if v.parent == volume.name]
        assert index.children(volume.node, volume.storage, volume.name) == sorted(keys_of(below))
    for vmid in (1, 2):
        own = [v for v in table.values() if v.vmid == vmid]
        assert index.of_guest(vmid) == sorted(keys_of(own))


def keys_of(volumes: list[Volume]) -> list[tuple[str, str]]:
    return [(volume.node, volume.volid) for volume in volumes]
