"""The contract scripts: calls that a Proxmox and the embedded one must answer alike.

Each script stays with guests of its own, made under leased VMIDs and in the lease's pool, and with
reads that say the same on any node: it may run on a Proxmox that others use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """One call. ``{node}``, ``{vmid}`` and the like are filled in; an empty parameter is left out.

    ``path`` is below ``/api2/json``. ``keep`` names what later steps call the answer's first
    ``volid``.
    """

    what: str
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    keep: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """Calls in their order; ``needs`` are the facts about the node without which it cannot run."""

    name: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()


_LXC: Final = "/nodes/{node}/lxc"
_CT: Final = f"{_LXC}/{{vmid}}"
_OTHER_CT: Final = f"{_LXC}/{{second}}"
_QEMU: Final = "/nodes/{node}/qemu"
_VM: Final = f"{_QEMU}/{{vmid}}"
_CONTENT: Final = "/nodes/{node}/storage/{backup_storage}/content"
_NEXT: Final = "/cluster/nextid"
_CONTAINER: Final = {
    "vmid": "{vmid}",
    "ostemplate": "{template}",
    "rootfs": "{storage}:1",
    "hostname": "compared",
    "memory": "64",
    "swap": "0",
    "cores": "1",
    "unprivileged": "1",
    "pool": "{pool}",
}
_MACHINE: Final = {
    "vmid": "{vmid}",
    "scsi0": "{storage}:1",
    "name": "compared",
    "memory": "64",
    "cores": "1",
    "pool": "{pool}",
}
_PURGE: Final = {"purge": "1", "destroy-unreferenced-disks": "1"}
_CREATE: Final = Step("create a container", "POST", _LXC, _CONTAINER)
_DESTROY: Final = Step("destroy it", "DELETE", _CT, _PURGE)

SCRIPTS: Final = (
    Script(
        "mistakes",
        (
            Step("the configuration of no container", "GET", f"{_CT}/config"),
            Step("the status of no VM", "GET", f"{_VM}/status/current"),
            Step("stop no container", "POST", f"{_CT}/status/stop"),
            Step("start no container", "POST", f"{_CT}/status/start"),
            Step("destroy no container", "DELETE", _CT),
            Step("create without a template", "POST", _LXC, {"vmid": "{vmid}", "pool": "{pool}"}),
            Step("create under no VMID", "POST", _LXC, _CONTAINER | {"vmid": "few"}),
            Step("create with much memory", "POST", _QEMU, _MACHINE | {"memory": "much"}),
            Step("create with a parameter that is none", "POST", _LXC, _CONTAINER | {"cat": "1"}),
            Step("a path that is none", "GET", "/nodes/{node}/cats"),
            Step("a method that is none", "PUT", "/version"),
            Step("the status of no task", "GET", "/nodes/{node}/tasks/UPID:cat/status"),
            Step("a VMID that is too low", "GET", _NEXT, {"vmid": "1"}),
            Step("no storage", "GET", "/nodes/{node}/storage/no-such-storage/content"),
        ),
    ),
    Script(
        "container",
        (
            Step("the VMID is free", "GET", _NEXT, {"vmid": "{vmid}"}),
            _CREATE,
            Step("the VMID is taken", "GET", _NEXT, {"vmid": "{vmid}"}),
            Step("create it again", "POST", _LXC, _CONTAINER),
            Step("its configuration", "GET", f"{_CT}/config"),
            Step("its status", "GET", f"{_CT}/status/current"),
            Step("start it", "POST", f"{_CT}/status/start"),
            Step("start it again", "POST", f"{_CT}/status/start"),
            Step("destroy it while it runs", "DELETE", _CT),
            Step("stop it", "POST", f"{_CT}/status/stop"),
            Step("stop it again", "POST", f"{_CT}/status/stop"),
            Step("give it memory", "PUT", f"{_CT}/config", {"memory": "128"}),
            Step("give it much memory", "PUT", f"{_CT}/config", {"memory": "much"}),
            Step("its configuration then", "GET", f"{_CT}/config"),
            Step("protect it", "PUT", f"{_CT}/config", {"protection": "1"}),
            Step("destroy it while it is protected", "DELETE", _CT, _PURGE),
            Step("protect it no more", "PUT", f"{_CT}/config", {"delete": "protection"}),
            _DESTROY,
            Step("its configuration after that", "GET", f"{_CT}/config"),
            Step("the VMID is free again", "GET", _NEXT, {"vmid": "{vmid}"}),
        ),
        needs=("template",),
    ),
    Script(
        "container snapshots",
        (
            _CREATE,
            Step("snapshot", "POST", f"{_CT}/snapshot", {"snapname": "one"}),
            Step("the same snapshot again", "POST", f"{_CT}/snapshot", {"snapname": "one"}),
            Step("the snapshots", "GET", f"{_CT}/snapshot"),
            Step("change it", "PUT", f"{_CT}/config", {"hostname": "changed"}),
            Step("roll back", "POST", f"{_CT}/snapshot/one/rollback"),
            Step("its configuration then", "GET", f"{_CT}/config"),
            Step("remove the snapshot", "DELETE", f"{_CT}/snapshot/one"),
            Step("remove it again", "DELETE", f"{_CT}/snapshot/one"),
            _DESTROY,
        ),
        needs=("template",),
    ),
    Script(
        "container clone",
        (
            _CREATE,
            Step(
                "clone it",
                "POST",
                f"{_CT}/clone",
                {"newid": "{second}", "hostname": "clone", "pool": "{second_pool}"},
            ),
            Step("the clone's configuration", "GET", f"{_OTHER_CT}/config"),
            Step("clone it to a VMID that is taken", "POST", f"{_CT}/clone", {"newid": "{second}"}),
            Step("destroy the clone", "DELETE", _OTHER_CT, _PURGE),
            _DESTROY,
        ),
        needs=("template",),
    ),
    Script(
        "container backup",
        (
            _CREATE,
            Step(
                "back it up",
                "POST",
                "/nodes/{node}/vzdump",
                {
                    "vmid": "{vmid}",
                    "storage": "{backup_storage}",
                    "mode": "stop",
                    "compress": "zstd",
                },
            ),
            Step("its backups", "GET", _CONTENT, {"vmid": "{vmid}"}, keep="backup"),
            Step(
                "restore it elsewhere",
                "POST",
                _LXC,
                {
                    "vmid": "{second}",
                    "ostemplate": "{backup}",
                    "restore": "1",
                    "storage": "{storage}",
                    "pool": "{second_pool}",
                },
            ),
            Step("the restored configuration", "GET", f"{_OTHER_CT}/config"),
            Step("destroy the restored one", "DELETE", _OTHER_CT, _PURGE),
            Step("remove the backup", "DELETE", f"{_CONTENT}/{{backup}}"),
            Step("no backups are left", "GET", _CONTENT, {"vmid": "{vmid}"}),
            _DESTROY,
        ),
        needs=("template", "backup_storage"),
    ),
    Script(
        "virtual machine",
        (
            Step("create a VM", "POST", _QEMU, _MACHINE),
            Step("create it again", "POST", _QEMU, _MACHINE),
            Step("its configuration", "GET", f"{_VM}/config"),
            Step("its status", "GET", f"{_VM}/status/current"),
            Step("what is pending", "GET", f"{_VM}/pending"),
            Step("stop it though it is off", "POST", f"{_VM}/status/stop"),
            Step("rename it", "PUT", f"{_VM}/config", {"name": "renamed"}),
            Step("a larger disk", "PUT", f"{_VM}/resize", {"disk": "scsi0", "size": "+1G"}),
            Step("a smaller disk", "PUT", f"{_VM}/resize", {"disk": "scsi0", "size": "1G"}),
            Step("its configuration then", "GET", f"{_VM}/config"),
            Step("destroy it", "DELETE", _VM, _PURGE),
            Step("its configuration after that", "GET", f"{_VM}/config"),
        ),
    ),
)
