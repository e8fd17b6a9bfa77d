"""The template of a storage, and the variables for what Proxmox's list of storages leaves out."""

from __future__ import annotations

from collections.abc import Iterable

from src_app.iac.hcl import Attribute, Block, Expression, attributes
from src_app.iac.names import storage_name
from src_app.iac.state import StorageFacts
from src_app.iac.terraform.devices import strings

PREFIX = "proxmox_storage_"
RESOURCES = {  # Proxmox's type: the resource, and what it must be told beside the name
    "dir": ("directory", ("path",)),
    "nfs": ("nfs", ("server", "export")),
    "cifs": ("cifs", ("server", "share", "username", "password")),
    "pbs": ("pbs", ("server", "datastore", "username", "password")),
    "zfspool": ("zfspool", ("zfs_pool",)),
    "lvm": ("lvm", ("volume_group",)),
    "lvmthin": ("lvmthin", ("volume_group", "thin_pool")),
}
SECRET = frozenset({"password"})
SAYS_SHARED = frozenset({"dir", "lvm"})  # of the others the provider knows it by itself


def resource(storage: StorageFacts) -> str | None:
    """Return the resource of a storage's type, or None where the provider has none."""
    found = RESOURCES.get(storage.type)
    return f"{PREFIX}{found[0]}" if found else None


def storage_block(storage: StorageFacts, all_nodes: Iterable[str]) -> Block | None:
    """Return the resource of a storage; one that all nodes see names none."""
    name = resource(storage)
    if name is None:
        return None
    some = sorted(storage.nodes) != sorted(all_nodes)
    values = attributes(
        {
            "id": storage.name,
            "content": strings(storage.content) if storage.content else None,
            "nodes": strings(storage.nodes) if some else None,
            "shared": storage.shared if storage.type in SAYS_SHARED else None,
        }
    )
    asked = tuple(
        Attribute(attribute, Expression(f"var.{variable}"))
        for attribute, variable in _asked(storage)
    )
    return Block("resource", (name, storage_name(storage.name)), (*values, *asked))


def _asked(storage: StorageFacts) -> list[tuple[str, str]]:
    """Return what must be asked for: the attribute, and its variable's name."""
    needed = RESOURCES[storage.type][1]
    return [(name, f"storage_{storage_name(storage.name)}_{name}") for name in needed]


def storage_variables(storage: StorageFacts) -> list[Block]:
    """Return the variables of one storage; those of secrets never show."""
    if resource(storage) is None:
        return []
    return [
        Block(
            "variable",
            (variable,),
            attributes(
                {
                    "description": f"{name} of storage {storage.name}",
                    "type": Expression("string"),
                    "sensitive": True if name in SECRET else None,
                }
            ),
        )
        for name, variable in _asked(storage)
    ]
