"""What comes to a storage from outside: uploads, downloads and OCI images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.populate import content_of, format_of
from pytest_proxmox.simulator.state import Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
ONE: Final = "/nodes/{node}/storage/{storage}"


def _incoming(call: Call, kind: str, filename: str) -> Storage:
    storage = call.sim.volumes.storage(call.params["storage"], node=call.node)
    if kind not in storage.content:
        raise PveError(500, f"storage '{storage.name}' does not support '{kind}' content")
    if "/" in filename or filename.startswith("."):
        raise PveError.fields({"filename": "wrong file extension"})
    return storage


@FAMILY.post(ONE + "/upload")
def upload(call: Call) -> str:
    """Take in a template, an image or an ISO."""
    params = call.params
    filename = str(params["filename"])
    storage = _incoming(call, params["content"], filename)
    args = _incoming_args(storage, params["content"], filename, {"size": params["size"]})
    return call.start("imgcopy", "", worker="incoming", args=args)


@FAMILY.post(ONE + "/download-url")
def download(call: Call) -> str:
    """Fetch a file that the world declares under its URL."""
    params = call.params
    filename = str(params["filename"])
    storage = _incoming(call, params["content"], filename)
    offered = call.state.settings["downloads"].get(params["url"])
    args = _incoming_args(storage, params["content"], filename, offered)
    return call.start("download", filename, worker="incoming", args=args | {"url": params["url"]})


@FAMILY.post(ONE + "/oci-registry-pull")
def pull(call: Call) -> str:
    """Fetch an OCI image that the world declares under its reference."""
    params = call.params
    reference = params["reference"]
    name = params.get("filename") or reference.rpartition("/")[2].replace(":", "_")
    storage = _incoming(call, "vztmpl", name)
    offered = call.state.settings["downloads"].get(reference)
    args = _incoming_args(storage, "vztmpl", f"{name}.tar", offered)
    return call.start("ocipull", name, worker="incoming", args=args | {"url": reference})


def _incoming_args(
    storage: Storage, kind: str, filename: str, offered: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "volid": f"{storage.name}:{kind}/{filename}",
        "offered": dict(offered) if offered is not None else None,
        "shared": storage.shared,
    }


def begin_incoming(sim: Simulator, task: Task) -> Begun:
    """Fail where the world offers nothing under that address."""
    if task.args["offered"] is None:
        raise TaskDied(f"download failed: 404 Not Found: {task.args['url']}")
    return Begun(2.0)


def finish_incoming(sim: Simulator, task: Task) -> tuple[str, ...]:
    """Put the volume where it was asked for."""
    offered = dict(task.args["offered"])
    volid = task.args["volid"]
    name = volid.partition(":")[2]
    size = int(offered.pop("size", 1))
    node = "" if task.args["shared"] else task.node
    now = int(sim.clock.now())
    content = content_of(name)
    sim.volumes.put(
        Volume(volid, node, content, format_of(name, content), size, size, ctime=now, data=offered)
    )
    return (f"finished file import of '{volid}' successfully",)


FAMILY.worker("incoming", Worker(begin_incoming, finish_incoming))
