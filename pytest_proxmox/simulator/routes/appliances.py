"""Templates and images that can be fetched: what the world declares under ``downloads``.

A key is a URL or an OCI reference; nothing is ever fetched from a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_TEMPLATE: Final = re.compile(
    r"(?P<package>(?P<os>[a-z]+)[a-z0-9.-]*-[a-z0-9.]+)_(?P<version>[^_]+)_(?P<arch>[^_.]+)\.tar\.\w+"
)
_TYPES: Final = {".iso": "application/x-iso9660-image", ".img": "application/octet-stream"}


def _downloads(call: Call) -> Mapping[str, Any]:
    found: Mapping[str, Any] = call.state.settings["downloads"]
    return found


def _appliances(call: Call) -> Iterator[dict[str, Any]]:
    """Yield the templates among the downloads, told by how they are named."""
    for url in _downloads(call):
        file = url.rpartition("/")[2]
        match = _TEMPLATE.fullmatch(file)
        if "://" in url and match is not None:
            yield {
                "template": file,
                "type": "lxc",
                "package": match["package"],
                "version": match["version"],
                "os": match["os"],
                "architecture": match["arch"],
                "section": "system",
                "headline": f"LXC default image for {match['package']}",
                "description": f"LXC default image for {match['package']}",
                "infopage": "https://linuxcontainers.org",
                "location": url,
                "source": url.rpartition("/")[0],
            }


@FAMILY.get("/nodes/{node}/aplinfo")
def list_appliances(call: Call) -> list[dict[str, Any]]:
    """Return the templates that can be fetched."""
    return list(_appliances(call))


@FAMILY.post("/nodes/{node}/aplinfo")
def fetch_appliance(call: Call) -> str:
    """Fetch a template onto a storage, in a task."""
    name = call.params["template"]
    chosen = next((entry for entry in _appliances(call) if entry["template"] == name), None)
    if chosen is None:
        raise PveError.fields({"template": "no such template"})
    storage = call.sim.volumes.storage(call.params["storage"], node=call.node)
    if "vztmpl" not in storage.content:
        raise PveError(500, f"storage '{storage.name}' does not support templates")
    args = {
        "volid": f"{storage.name}:vztmpl/{name}",
        "offered": dict(_downloads(call)[chosen["location"]]),
        "shared": storage.shared,
        "url": chosen["location"],
    }
    return call.start("download", name, worker="incoming", args=args)


@FAMILY.get("/nodes/{node}/query-url-metadata")
def url_metadata(call: Call) -> dict[str, Any]:
    """Return the name, the size and the type of what lies under a URL."""
    url = call.params["url"]
    offered = _downloads(call).get(url)
    if offered is None:
        raise PveError(500, "invalid server response: '404 Not Found'")
    file = url.rpartition("/")[2].partition("?")[0]
    kind = _TYPES.get("." + file.rpartition(".")[2], "application/octet-stream")
    return {"filename": file, "mimetype": kind, "size": int(offered.get("size", 1))}


@FAMILY.get("/nodes/{node}/query-oci-repo-tags")
def repository_tags(call: Call) -> list[str]:
    """Return the tags of an OCI repository."""
    repository = call.params["reference"].rpartition("://")[2]
    found = sorted(
        tag
        for reference in _downloads(call)
        for name, colon, tag in [reference.rpartition(":")]
        if colon and "/" not in tag and name.rpartition("://")[2] == repository
    )
    if not found:
        raise PveError(500, f"no tags found for '{call.params['reference']}'")
    return found
