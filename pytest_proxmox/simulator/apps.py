"""What a guest serves over HTTP: small apps whose files live in the guest's volumes.

Files are kept as base64 in ``Volume.data["files"]``, so snapshot, backup, restore, clone and
update carry them, and a test can ask afterwards for the bytes that it put in.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_proxmox.simulator import containers
from pytest_proxmox.simulator.state import EMPTY, Guest, Volume

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

DEFAULT_PORT: Final = 8080
MAX_FILE: Final = 8 * 1024 * 1024
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=utf-8"
_STYLE: Final = (
    "body{color:#191d2e;font:16px/1.6 system-ui,sans-serif;margin:3rem auto;max-width:40rem;"
    "padding:0 1.5rem}table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid "
    "#dfe2ee;padding:.6rem 0;text-align:left}th{color:#565d76;font-weight:500;width:40%}"
)


@dataclass(frozen=True, slots=True)
class Workload:
    """What a template or an image turns a running guest into."""

    serves: str = "web"
    name: str = "app"
    version: str = "1.0"
    port: int = DEFAULT_PORT
    health: str = "/health"  # answered beside /health itself


@dataclass(frozen=True, slots=True)
class Page:
    """An app's answer."""

    status: int
    body: bytes = b""
    content_type: str = _TEXT


def workload_of(sim: Simulator, guest: Guest) -> Workload | None:
    """Return what a guest serves while it runs: the world says so by template or image."""
    declared: Mapping[str, Any] = sim.state.settings["workloads"]
    root = _volume(sim, guest, "rootfs") if declared else None
    template = str(root.data.get("template", "")) if root is not None else ""
    facts = declared.get(template) or declared.get(template.rpartition("/")[2])
    return Workload(**facts) if facts else None


def answer(
    sim: Simulator, vmid: int, workload: Workload, method: str, target: str, body: bytes
) -> Page:
    """Return what the app in a guest answers to one request."""
    path = unquote(target.partition("?")[0])
    with sim.lock:
        guest = sim.state.guests.get(vmid)
        if guest is None or not guest.running:
            return Page(503, b"the guest has stopped\n")
        if path == "/health" or path == workload.health != "/":
            return _health(workload)
        if path == "/version":
            return Page(200, workload.version.encode())
        if path == "/":
            return _front(guest, workload)
        if path.startswith("/data"):
            key = path.removeprefix("/data").strip("/")
            return _files(sim, guest, workload, method, key, body)
    return Page(404, b"not found\n")


def _health(workload: Workload) -> Page:
    failing = workload.serves == "failing"
    state = {"status": "failing" if failing else "ok", "version": workload.version}
    return Page(503 if failing else 200, json.dumps(state).encode(), _JSON)


def _front(guest: Guest, workload: Workload) -> Page:
    rows = {
        "version": workload.version,
        "hostname": guest.name,
        "vmid": guest.vmid,
        "environment": guest.config.get("env", ""),
    }
    table = "".join(
        f'<tr><th>{key}</th><td id="{key}">{html.escape(str(value))}</td></tr>'
        for key, value in rows.items()
    )
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(workload.name)} {workload.version}</title>"
        f"<style>{_STYLE}</style></head>"
        f"<body><h1>{html.escape(workload.name)}</h1><table>{table}</table></body></html>"
    )
    return Page(200, text.encode(), _HTML)


# --- files --------------------------------------------------------------------------------------


def _files(
    sim: Simulator, guest: Guest, workload: Workload, method: str, key: str, body: bytes
) -> Page:
    volume = _volume(sim, guest, "mp0") or _volume(sim, guest, "rootfs")
    if volume is None:
        return Page(500, b"no volume to keep data in\n")
    files: Mapping[str, str] = volume.data.get("files", EMPTY)
    if method == "GET" and not key:
        return Page(200, json.dumps(sorted(files)).encode(), _JSON)
    if method == "GET":
        if key not in files:
            return Page(404, b"not found\n")
        return Page(200, base64.b64decode(files[key]), "application/octet-stream")
    if workload.serves == "static" or method not in ("PUT", "POST", "DELETE"):
        return Page(405, b"method not allowed\n")
    if method == "DELETE":
        _keep(sim, volume, {name: value for name, value in files.items() if name != key})
        return Page(204)
    _keep(sim, volume, {**files, key: base64.b64encode(body).decode()})
    return Page(201 if key not in files else 200)


def _volume(sim: Simulator, guest: Guest, key: str) -> Volume | None:
    text = guest.config.get(key)
    if text is None or guest.kind != "lxc":
        return None
    return sim.volumes.find(containers.parse(key, str(text))["volume"], guest.node)


def _keep(sim: Simulator, volume: Volume, files: Mapping[str, str]) -> None:
    size = sum(len(text) * 3 // 4 for text in files.values())
    before = sum(len(text) * 3 // 4 for text in volume.data.get("files", EMPTY).values())
    used = volume.used - before + size
    sim.volumes.put(replace(volume, used=used, data={**volume.data, "files": files}))
