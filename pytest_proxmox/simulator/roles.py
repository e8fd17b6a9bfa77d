"""Proxmox VE 9's privileges and built-in roles, from its public user-management documentation.

The privileges by area agree with what a login of root and of a PVEVMAdmin shows (golden 01).
"""

from __future__ import annotations

from typing import Final

VM: Final = frozenset(
    f"VM.{name}"
    for name in [
        "Allocate",
        "Audit",
        "Backup",
        "Clone",
        "Config.CDROM",
        "Config.CPU",
        "Config.Cloudinit",
        "Config.Disk",
        "Config.HWType",
        "Config.Memory",
        "Config.Network",
        "Config.Options",
        "Console",
        "GuestAgent.Audit",
        "GuestAgent.FileRead",
        "GuestAgent.FileSystemMgmt",
        "GuestAgent.FileWrite",
        "GuestAgent.Unrestricted",
        "Migrate",
        "PowerMgmt",
        "Replicate",
        "Snapshot",
        "Snapshot.Rollback",
    ]
)
DATASTORE: Final = frozenset(
    f"Datastore.{name}" for name in ("Allocate", "AllocateSpace", "AllocateTemplate", "Audit")
)
SYS: Final = frozenset(
    f"Sys.{name}"
    for name in ["AccessNetwork", "Audit", "Console", "Incoming", "Modify", "PowerMgmt", "Syslog"]
)
SDN: Final = frozenset({"SDN.Allocate", "SDN.Audit", "SDN.Use"})
MAPPING: Final = frozenset({"Mapping.Audit", "Mapping.Modify", "Mapping.Use"})
POOL: Final = frozenset({"Pool.Allocate", "Pool.Audit"})
ACCESS: Final = frozenset(
    {"Group.Allocate", "Permissions.Modify", "Realm.Allocate", "Realm.AllocateUser", "User.Modify"}
)
ALL: Final = VM | DATASTORE | SYS | SDN | MAPPING | POOL | ACCESS

_AUDIT: Final = frozenset(name for name in ALL if name.endswith(".Audit")) - {"VM.GuestAgent.Audit"}

BUILT_IN: Final[dict[str, frozenset[str]]] = {
    "Administrator": ALL,
    "NoAccess": frozenset(),
    "PVEAdmin": ALL
    - {"Permissions.Modify", "Realm.Allocate", "Realm.AllocateUser"}
    - {"Sys.AccessNetwork", "Sys.Incoming", "Sys.Modify", "Sys.PowerMgmt"},
    "PVEAuditor": _AUDIT,
    "PVEDatastoreAdmin": DATASTORE,
    "PVEDatastoreUser": frozenset({"Datastore.AllocateSpace", "Datastore.Audit"}),
    "PVEMappingAdmin": MAPPING,
    "PVEMappingAuditor": frozenset({"Mapping.Audit"}),
    "PVEMappingUser": frozenset({"Mapping.Audit", "Mapping.Use"}),
    "PVEPoolAdmin": POOL,
    "PVEPoolUser": frozenset({"Pool.Audit"}),
    "PVESDNAdmin": SDN,
    "PVESDNUser": frozenset({"SDN.Audit", "SDN.Use"}),
    "PVESysAdmin": frozenset({"Sys.Audit", "Sys.Console", "Sys.Syslog"}),
    "PVETemplateUser": frozenset({"VM.Audit", "VM.Clone"}),
    "PVEUserAdmin": frozenset({"Group.Allocate", "Realm.AllocateUser", "User.Modify"}),
    "PVEVMAdmin": VM,
    "PVEVMUser": frozenset(
        {
            "VM.Audit",
            "VM.Backup",
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.GuestAgent.Audit",
            "VM.PowerMgmt",
        }
    ),
}

# The areas under which a login lists its rights (``cap``), with the first parts of the paths that
# count for them: rights on a pool are rights on the guests and storages in it (golden 01 seq 17).
CAPABILITIES: Final[dict[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "access": (frozenset({"User.Modify", "Group.Allocate", "Permissions.Modify"}), ("/access",)),
    "dc": (frozenset({"Sys.Audit", "Sys.Modify"}) | SDN, ("/",)),
    "mapping": (MAPPING | {"Permissions.Modify"}, ("/mapping",)),
    "nodes": (SYS | {"Permissions.Modify"}, ("/nodes",)),
    "sdn": (SDN | {"Permissions.Modify"}, ("/sdn",)),
    "storage": (DATASTORE | {"Permissions.Modify"}, ("/storage", "/pool")),
    "vms": (VM | {"Permissions.Modify"}, ("/vms", "/pool")),
}
