"""What lies below a path: the version, the top, and the indexes of fixed sub-paths."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family

FAMILY: Final = Family()

REPOSITORY_ID: Final = "14a22df35955d97d"  # of pve-manager 9.2.11 (golden 01 seq 20)
_TOP: Final = ("version", "cluster", "nodes", "storage", "access", "pools")
_HIDDEN: Final = ("execute", "vncwebsocket")  # below a node, but not listed (golden 02 seq 117)

# Paths whose answer names what lies below, all of it fixed; the key of each entry differs.
INDEXES: Final = {
    "/access": "subdir",
    "/access/openid": "subdir",
    "/cluster": "name",
    "/cluster/acme": "name",
    "/cluster/backup-info": "subdir",
    "/cluster/bulk-action": "name",
    "/cluster/bulk-action/guest": "name",
    "/cluster/ceph": "name",
    "/cluster/config": "name",
    "/cluster/firewall": "name",
    "/cluster/ha": "id",
    "/cluster/ha/status": "name",
    "/cluster/jobs": "subdir",
    "/cluster/mapping": "name",
    "/cluster/metrics": "name",
    "/cluster/notifications": "name",
    "/cluster/notifications/endpoints": "name",
    "/cluster/qemu": "name",
    "/cluster/sdn": "id",
    "/cluster/sdn/fabrics": "subdir",
    "/nodes/{node}": "name",
    "/nodes/{node}/apt": "id",
    "/nodes/{node}/capabilities": "name",
    "/nodes/{node}/capabilities/qemu": "name",
    "/nodes/{node}/ceph": "name",
    "/nodes/{node}/ceph/cfg": "name",
    "/nodes/{node}/certificates": "name",
    "/nodes/{node}/certificates/acme": "name",
    "/nodes/{node}/disks": "name",
    "/nodes/{node}/firewall": "name",
    "/nodes/{node}/hardware": "type",
    "/nodes/{node}/lxc/{vmid}/firewall": "name",
    "/nodes/{node}/qemu/{vmid}/firewall": "name",
    "/nodes/{node}/replication/{id}": "name",
    "/nodes/{node}/scan": "method",
    "/nodes/{node}/sdn": "name",
    "/nodes/{node}/services/{service}": "subdir",
}


def _index(call: Call) -> list[dict[str, str]]:
    key = INDEXES[call.template]
    start = call.template + "/"
    below = {
        template[len(start) :].partition("/")[0]
        for template in call.sim.schema.templates()
        if template.startswith(start)
    }
    return [{key: name} for name in sorted(below) if name not in _HIDDEN]


for _template in INDEXES:
    FAMILY.get(_template, checked=True)(_index)


@FAMILY.get("/", checked=True)
def top(call: Call) -> list[dict[str, str]]:
    """Return what lies at the top."""
    return [{"subdir": name} for name in _TOP]


@FAMILY.get("/nodes/{node}/version")
@FAMILY.get("/version")
def version(call: Call) -> dict[str, Any]:
    """Return the version of the node that answers; for the cluster with the console's setting."""
    full: str = call.state.settings["version"]
    found = {
        "version": full,
        "release": ".".join(full.split(".")[:2]),
        "repoid": REPOSITORY_ID,
    }
    console = call.state.settings.get("cluster.options", {}).get("console")
    if console and call.template == "/version":
        found["console"] = console
    return found
