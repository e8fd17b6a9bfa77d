"""What cloud-init is told: user data, network and meta data, as texts.

Formats from cloud-init's public documentation; no recording shows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from pytest_proxmox.simulator import machines
from pytest_proxmox.simulator.lists import split


def user_data(values: Mapping[str, Any]) -> str:
    """Return the user data: the name, who logs in, and how."""
    name, _, domain = str(values["name"]).partition(".")
    domain = domain or str(values.get("searchdomain", ""))
    lines = ["#cloud-config", f"hostname: {name}", "manage_etc_hosts: true"]
    if domain:
        lines.append(f"fqdn: {name}.{domain}")
    if values.get("ciuser"):
        lines.append(f"user: {values['ciuser']}")
    if values.get("cipassword"):
        lines.append(f"password: {values['cipassword']}")
    keys = [key for key in unquote(str(values.get("sshkeys", ""))).splitlines() if key.strip()]
    if keys:
        lines += ["ssh_authorized_keys:", *(f"  - {key}" for key in keys)]
    lines += ["chpasswd:", "  expire: False"]
    if values.get("ciuser") != "root":
        lines += ["users:", "  - default"]
    upgrade = "true" if values.get("ciupgrade", 1) else "false"
    return "\n".join([*lines, f"package_upgrade: {upgrade}", ""])


def network(values: Mapping[str, Any]) -> str:
    """Return the network configuration, version 1."""
    lines = ["version: 1", "config:"]
    for key in sorted(filter(machines.NET.fullmatch, values), key=machines.rank):
        number = machines.rank(key)[1]
        mac = str(machines.parse(key, str(values[key])).get("macaddr", "")).lower()
        lines += [
            "    - type: physical",
            f"      name: eth{number}",
            f"      mac_address: '{mac}'",
            "      subnets:",
            *_subnets(str(values.get(f"ipconfig{number}", ""))),
        ]
    return "\n".join([*lines, *_resolver(values), ""])


def _subnets(text: str) -> Iterator[str]:
    given = machines.parse("ipconfig0", text) if text else {}
    for family, gateway in (("ip", "gw"), ("ip6", "gw6")):
        address = given.get(family)
        if not address:
            continue
        short = "4" if family == "ip" else "6"
        if address in ("dhcp", "auto"):
            kind = f"dhcp{short}" if address == "dhcp" else "ipv6_slaac"
            yield f"      - type: {kind}"
            continue
        yield "      - type: static" + ("6" if short == "6" else "")
        yield f"        address: '{address}'"
        if given.get(gateway):
            yield f"        gateway: '{given[gateway]}'"


def _resolver(values: Mapping[str, Any]) -> Iterator[str]:
    servers, domains = split(values.get("nameserver")), split(values.get("searchdomain"))
    if not servers and not domains:
        return
    yield "    - type: nameserver"
    if servers:
        yield from ("      address:", *(f"      - '{server}'" for server in servers))
    if domains:
        yield from ("      search:", *(f"      - '{domain}'" for domain in domains))


def meta(values: Mapping[str, Any]) -> str:
    """Return the meta data: an id that changes with everything else."""
    text = user_data(values) + network(values)
    return f"instance-id: {hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}\n"


TEXTS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "meta": meta,
    "network": network,
    "user": user_data,
}
