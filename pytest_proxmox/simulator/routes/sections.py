"""Configuration that the simulator keeps but that nothing here acts on.

Notification targets and matchers, resource mappings, metric servers, ACME plugins, processor
models: each is made, listed, read, changed and removed like the others.
"""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator import figures
from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.quorum import is_online
from pytest_proxmox.simulator.records import BUILT_IN, Record, Registry, serve
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_ENDPOINTS: Final = "/cluster/notifications/endpoints"


def _with_origin(call: Call, record: Record) -> Record:
    """Note who made a notification section; a built-in one that is changed is neither."""
    origin = "modified-builtin" if record.get("origin") == BUILT_IN else "user-created"
    return {**record, "origin": origin}


def _endpoint(kind: str, *secret: str) -> Registry:
    return Registry(
        f"{_ENDPOINTS}/{kind}",
        "name",
        f"notify-{kind}",
        f"{kind} endpoint",
        "notifications_cfg",
        secret=secret,
        accept=_with_origin,
    )


ENDPOINTS: Final = {
    "gotify": _endpoint("gotify", "token"),
    "sendmail": _endpoint("sendmail"),
    "smtp": _endpoint("smtp", "password"),
    "webhook": _endpoint("webhook"),
}
_TARGET_KEYS: Final = ("comment", "disable", "origin")


def _known_targets(call: Call, matcher: Record) -> Record:
    """Accept a matcher whose targets are there."""
    known = {ident for name, ident in call.state.records if name.startswith("notify-")}
    for target in matcher.get("target", ()):
        if target not in known:
            raise PveError(500, f"could not find target '{target}'")
    return _with_origin(call, matcher)


def _no_check(call: Call, ident: str, record: Record) -> dict[str, Any]:
    """Show a mapping; asked for a node, its checks find nothing wrong."""
    return dict(record) | ({"checks": []} if "check-node" in call.params else {})


def _mapping(kind: str) -> Registry:
    return Registry(
        f"/cluster/mapping/{kind}",
        "id",
        f"mapping-{kind}",
        f"{kind} mapping",
        f"mapping_{kind}_cfg",
        show=_no_check,
    )


MATCHERS: Final = Registry(
    "/cluster/notifications/matchers",
    "name",
    "matcher",
    "matcher",
    "notifications_cfg",
    defaults={"mode": "all"},
    accept=_known_targets,
)
METRIC_SERVERS: Final = Registry(
    "/cluster/metrics/server",
    "id",
    "metric-server",
    "metric server",
    "status_cfg",
    secret=("token",),
    defaults={"disable": 0},
)
CPU_MODELS: Final = Registry(
    "/cluster/qemu/custom-cpu-models",
    "cputype",
    "custom-cpu",
    "custom CPU model",
    "cpu_models_cfg",
)


def _named_plugin(call: Call, ident: str, record: Record) -> dict[str, Any]:
    return {"plugin": ident, **record}


ACME_PLUGINS: Final = Registry(
    "/cluster/acme/plugins",
    "id",
    "acme-plugin",
    "ACME plugin",
    "acme_plugins_cfg",
    show=_named_plugin,
)

for _registry in (*ENDPOINTS.values(), MATCHERS, CPU_MODELS, ACME_PLUGINS):
    serve(FAMILY, _registry)
for _kind in ("dir", "pci", "usb"):
    serve(FAMILY, _mapping(_kind))
serve(FAMILY, METRIC_SERVERS, create_at_item=True)


@FAMILY.get("/cluster/notifications/targets")
def targets(call: Call) -> list[dict[str, Any]]:
    """Return the endpoints of every kind."""
    return [
        {"name": name, "type": kind}
        | {key: record[key] for key in _TARGET_KEYS if record.get(key) is not None}
        for kind, registry in ENDPOINTS.items()
        for name, record in registry.all(call.state).items()
    ]


@FAMILY.get("/cluster/notifications/matcher-fields", checked=True)
def matcher_fields(call: Call) -> list[dict[str, str]]:
    """Return the fields that matchers can look at."""
    return [{"name": name} for name in ("type", "hostname", "job-id")]


@FAMILY.get("/cluster/notifications/matcher-field-values")
def matcher_values(call: Call) -> list[dict[str, str]]:
    """Return the values that fields can have: nodes, jobs, kinds of notification."""
    kinds = ("fencing", "package-updates", "replication", "system-mail", "vzdump")
    found = [{"field": "type", "value": kind} for kind in kinds]
    found += [{"field": "hostname", "value": name} for name in call.state.nodes]
    return found + [{"field": "job-id", "value": ident} for ident in call.state.jobs]


@FAMILY.get("/cluster/metrics/export")
def export_metrics(call: Call) -> dict[str, Any]:
    """Return the figures of nodes, guests and storages as single metrics."""
    now, sim = int(call.sim.clock.now()), call.sim
    if call.params.get("start-time", 0) > now:
        return {"data": []}
    rows: list[dict[str, Any]] = []
    for node in sim.state.nodes.values():
        if is_online(sim, node.name):
            rows += _metrics(f"node/{node.name}", figures.of_node(sim, node), now)
    for guest in sim.state.guests.values():
        rows += _metrics(f"{guest.kind}/{guest.vmid}", figures.of_guest(sim, guest), now)
    for entry in sim.census.storages(None):
        rows += _metrics(entry["id"], entry, now)
    return {"data": rows}


_METRICS: Final = {
    "cpu": ("cpu_current", "gauge"),
    "maxcpu": ("cpu_max", "gauge"),
    "mem": ("mem_used", "gauge"),
    "maxmem": ("mem_total", "gauge"),
    "disk": ("disk_used", "gauge"),
    "maxdisk": ("disk_total", "gauge"),
    "uptime": ("uptime", "gauge"),
    "netin": ("net_in", "derive"),
    "netout": ("net_out", "derive"),
}


def _metrics(ident: str, found: Record, now: int) -> list[dict[str, Any]]:
    return [
        {"id": ident, "metric": name, "type": kind, "value": found[key], "timestamp": now}
        for key, (name, kind) in _METRICS.items()
        if key in found
    ]
