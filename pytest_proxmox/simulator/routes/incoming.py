"""What comes onto a storage from outside: uploads, downloads, OCI images.

No recording shows these; names and texts are what clients' reports quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.multipart import FILE
from pytest_proxmox.simulator.populate import content_of, format_of
from pytest_proxmox.simulator.state import Storage, Task, Volume
from pytest_proxmox.simulator.tasks import Begun, TaskDied, Worker
from pytest_proxmox.simulator.wire import PveError

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

FAMILY: Final = Family()
ONE: Final = "/nodes/{node}/storage/{storage}"
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "import": (".ova", ".qcow2", ".raw", ".vmdk"),
    "iso": (".iso", ".img"),
    "vztmpl": (".tar", ".tar.bz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tgz"),
}
WRONG_NAME: Final = {"import": "invalid filename or wrong extension"}


def _incoming(call: Call, kind: str, filename: str) -> Storage:
    """Return the storage that takes the file in.

    Raises:
        PveError: it holds nothing of that kind, or the file's name does not fit.
    """
    storage = call.sim.volumes.storage(call.params["storage"], node=call.node)
    if kind not in storage.content:
        raise PveError(500, f"storage '{storage.name}' does not support '{kind}' content")
    if "/" in filename or filename.startswith(".") or not filename.endswith(SUFFIXES[kind]):
        raise PveError.fields({FILE: WRONG_NAME.get(kind, "wrong file extension")})
    return storage


@FAMILY.post(ONE + "/upload")
def upload(call: Call) -> str:
    """Take in a template, an image or an ISO; one of that name is replaced."""
    params, sent = call.params, call.upload
    storage = _incoming(call, params["content"], str(params[FILE]))
    if sent is None:
        raise PveError.fields({FILE: "no file was sent with the request"})
    args = _args(storage, params["content"], sent.filename, {"size": sent.size})
    algorithm = params.get("checksum-algorithm")
    if algorithm:
        args["checksums"] = (sent.checksum(algorithm), str(params["checksum"]).lower())
    return call.start("imgcopy", "", worker="incoming", args=args | {"replace": True})


@FAMILY.post(ONE + "/download-url")
def download(call: Call) -> str:
    """Fetch a file that the world declares under its URL."""
    params = call.params
    filename = str(params[FILE])
    storage = _incoming(call, params["content"], filename)
    offered = call.state.settings["downloads"].get(params["url"])
    args = _args(storage, params["content"], filename, offered)
    algorithm = params.get("checksum-algorithm")
    if algorithm and algorithm in (offered or {}):
        args["checksums"] = (str(offered[algorithm]).lower(), str(params["checksum"]).lower())
    return call.start("download", filename, worker="incoming", args=args | {"url": params["url"]})


@FAMILY.post(ONE + "/oci-registry-pull")
def pull(call: Call) -> str:
    """Fetch an OCI image that the world declares under its reference."""
    params = call.params
    reference = params["reference"]
    name = params.get(FILE) or reference.rpartition("/")[2].replace(":", "_")
    filename = f"{name.removesuffix('.tar')}.tar"
    storage = _incoming(call, "vztmpl", filename)
    offered = call.state.settings["downloads"].get(reference)
    args = _args(storage, "vztmpl", filename, offered)
    return call.start("ocipull", filename, worker="incoming", args=args | {"url": reference})


def _args(
    storage: Storage, kind: str, filename: str, offered: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "volid": f"{storage.name}:{kind}/{filename}",
        "offered": dict(offered) if offered is not None else None,
        "shared": storage.shared,
    }


def begin(sim: Simulator, task: Task) -> Begun:
    """Fail where the world offers nothing there, the file is there already, or is another."""
    args = task.args
    if args["offered"] is None:
        raise TaskDied(f"download failed: 404 Not Found: {args['url']}")
    here = sim.volumes.find(args["volid"], task.node)
    if here is not None and "replace" not in args:
        raise TaskDied(f"refusing to override existing file '{sim.volumes.path(here)}'")
    got, wanted = args.get("checksums", ("", ""))
    if got != wanted:
        raise TaskDied(f"checksum mismatch: got '{got}' != expect '{wanted}'")
    return Begun(2.0)


def finish(sim: Simulator, task: Task) -> tuple[str, ...]:
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


FAMILY.worker("incoming", Worker(begin, finish))
