"""Authentication realms, kept as they were configured; only pam and pve know passwords here."""

from __future__ import annotations

from typing import Any, Final

from pytest_proxmox.simulator.family import Call, Family
from pytest_proxmox.simulator.lists import split
from pytest_proxmox.simulator.quorum import under_lock
from pytest_proxmox.simulator.records import check_digest, digest_of
from pytest_proxmox.simulator.wire import PveError

FAMILY: Final = Family()

_SHOWN: Final = ("type", "comment", "default", "tfa")
_SECRET: Final = ("password", "client-key")
_NOT_KEPT: Final = ("realm", "digest", "delete", "check-connection")
_BUILT_IN: Final = ("pam", "pve")


def _require(call: Call) -> dict[str, Any]:
    realm = call.params["realm"]
    if realm not in call.state.realms:
        raise PveError(500, f"domain '{realm}' does not exist")
    return dict(call.state.realms[realm])


def _store(call: Call, config: dict[str, Any]) -> None:
    """Store a realm; at most one of them is the default."""
    if config.get("default"):
        for other, known in list(call.state.realms.items()):
            if known.get("default"):
                rest = {key: value for key, value in known.items() if key != "default"}
                call.state.realms[other] = rest
    call.state.realms[call.params["realm"]] = config


@FAMILY.get("/access/domains")
def list_realms(call: Call) -> list[dict[str, Any]]:
    """Return the realms as a login page needs them: anybody may ask."""
    return [
        {"realm": realm} | {key: config[key] for key in _SHOWN if config.get(key)}
        for realm, config in sorted(call.state.realms.items())
    ]


@FAMILY.post("/access/domains")
@under_lock("domains_cfg", "add auth server failed")
def create_realm(call: Call) -> None:
    """Add a realm."""
    realm, given = call.params["realm"], call.params
    if realm in call.state.realms:
        raise PveError(500, f"domain '{realm}' already exists")
    if given["type"] in _BUILT_IN:
        raise PveError(500, f"unable to create builtin type '{given['type']}'")
    _store(call, {key: value for key, value in given.items() if key not in _NOT_KEPT})


@FAMILY.get("/access/domains/{realm}")
def read_realm(call: Call) -> dict[str, Any]:
    """Return a realm's configuration without its secrets."""
    config = _require(call)
    shown = {key: value for key, value in config.items() if key not in _SECRET}
    return shown | {"digest": digest_of(config)}


@FAMILY.put("/access/domains/{realm}")
@under_lock("domains_cfg", "update auth server failed")
def update_realm(call: Call) -> None:
    """Change a realm."""
    config = _require(call)
    check_digest(config, call.params.get("digest"))
    removed = split(call.params.get("delete"))
    kept = {key: value for key, value in config.items() if key not in removed}
    _store(call, kept | {k: v for k, v in call.params.items() if k not in _NOT_KEPT})


@FAMILY.delete("/access/domains/{realm}")
@under_lock("domains_cfg", "delete auth server failed")
def delete_realm(call: Call) -> None:
    """Remove a realm that somebody added."""
    realm = call.params["realm"]
    _require(call)
    if realm in _BUILT_IN:
        raise PveError(500, f"unable to delete builtin realm '{realm}'")
    del call.state.realms[realm]
