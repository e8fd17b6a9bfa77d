"""Formats of network values: addresses, networks, MACs, and what firewall rules are made of.

Recorded texts: the IPv4 configuration of a container's interface and the MAC address (golden 02
seq 18 to 21). The syntax of the others is that of the Proxmox VE reference documentation; their
texts are phrased alike.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from functools import partial

Check = Callable[[str], str | None]

# Texts, not compiled patterns: re compiles each at its first use and keeps it, start-up is free.
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_DNS_NAME = rf"{_LABEL}(\.{_LABEL})*"  # a label may be long: golden 02 seq 26 has 64
_MAC = r"[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}"  # unicast: an even first byte
_MAC_PREFIX = r"[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){0,4}:?"
_PREFIX = r"[0-9]{1,3}"
_IFACE = r"[A-Za-z][A-Za-z0-9_-]{1,20}([:.][0-9]+)?"
_VLANS = r"([0-9]{1,4})(-([0-9]{1,4}))?"
_ALIAS = r"((dc|guest|sdn)/)?[A-Za-z][A-Za-z0-9_-]+"
_PORT = r"([0-9]{1,5})(:([0-9]{1,5}))?"
_SERVICE = r"[A-Za-z0-9]([A-Za-z0-9_.+/-]*[A-Za-z0-9])?"
_NETMASK = r"1*0*"


def is_ipv4(text: str) -> bool:
    """Tell whether ``text`` is an IPv4 address."""
    return _is_address(socket.AF_INET, text)


def is_ipv6(text: str) -> bool:
    """Tell whether ``text`` is an IPv6 address without a scope."""
    return _is_address(socket.AF_INET6, text)


def is_ip(text: str) -> bool:
    """Tell whether ``text`` is an IP address of either kind."""
    return is_ipv4(text) or is_ipv6(text)


def is_cidr4(text: str) -> bool:
    """Tell whether ``text`` is an IPv4 address with a prefix length."""
    address, _, prefix = text.partition("/")
    return is_ipv4(address) and _is_prefix(prefix, 32)


def is_cidr6(text: str) -> bool:
    """Tell whether ``text`` is an IPv6 address with a prefix length."""
    address, _, prefix = text.partition("/")
    return is_ipv6(address) and _is_prefix(prefix, 128)


def is_cidr(text: str) -> bool:
    """Tell whether ``text`` is an address of either kind with a prefix length."""
    return is_cidr4(text) or is_cidr6(text)


def is_dns_name(text: str) -> bool:
    """Tell whether ``text`` is a host name, with or without a domain."""
    return re.fullmatch(_DNS_NAME, text) is not None


def is_host(text: str) -> bool:
    """Tell whether ``text`` is an address or a host name."""
    return is_ip(text) or is_dns_name(text)


def is_portal(text: str) -> bool:
    """Tell whether ``text`` is a host with or without a port (IPv6 then in brackets)."""
    host, _, port = text.rpartition(":")
    if host and _is_port(port) and not is_ipv6(text):
        return is_host(host.removeprefix("[").removesuffix("]"))
    return is_host(text.removeprefix("[").removesuffix("]"))


def _is_address(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: a null byte, or not ASCII
        return False
    return True


def _is_prefix(text: str, longest: int) -> bool:
    return re.fullmatch(_PREFIX, text) is not None and int(text) <= longest


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536


def _is_netmask(text: str) -> bool:
    if not is_ipv4(text):
        return False
    bits = "".join(f"{int(part):08b}" for part in text.split("."))
    return re.fullmatch(_NETMASK, bits) is not None


def _is_link_local(text: str) -> bool:
    address, _, iface = text.partition("%")
    return is_ipv6(address) and bool(iface) and not any(c in iface for c in "%/ ")


def _is_vlans(text: str) -> bool:
    match = re.fullmatch(_VLANS, text)
    if match is None:
        return False
    first, last = int(match[1]), int(match[3] or match[1])
    return 1 <= first <= last <= 4094


def _is_address_spec(text: str) -> bool:
    return all(map(_is_rule_address, text.split(",")))


def _is_rule_address(text: str) -> bool:
    first, _, last = text.partition("-")
    if is_ip(text) or is_cidr(text) or (is_ip(first) and is_ip(last)):
        return True
    return re.fullmatch(_ALIAS, text.removeprefix("+")) is not None


def _is_port_spec(text: str) -> bool:
    return all(_is_port_range(part) or _is_named_port(part) for part in text.split(","))


def _is_named_port(text: str) -> bool:
    return _is_service(text) and any(map(str.isalpha, text))  # all digits: a number, too big


def _is_port_range(text: str) -> bool:
    match = re.fullmatch(_PORT, text)
    return match is not None and int(match[1]) <= int(match[3] or match[1]) < 65536


def _is_service(text: str) -> bool:
    return re.fullmatch(_SERVICE, text) is not None


# format -> the rule, and what PVE's text says the value does not look like
_RULES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "ip": (is_ip, "IP address"),
    "ipv4": (is_ipv4, "ipv4 address"),
    "ipv6": (is_ipv6, "ipv6 address"),
    "ipv4mask": (_is_netmask, "IP netmask"),
    "CIDR": (is_cidr, "CIDR network"),
    "CIDRv4": (is_cidr4, "IPv4 network"),
    "CIDRv6": (is_cidr6, "IPv6 network"),
    "IPorCIDR": (lambda text: is_ip(text) or is_cidr(text), "IP address or CIDR network"),
    "IPorCIDRorAlias": (_is_rule_address, "IP address, CIDR network or alias"),
    "pve-ipv4-config": (
        lambda text: text in ("dhcp", "manual") or is_cidr4(text),
        "ipv4 network configuration",
    ),
    "pve-ipv6-config": (
        lambda text: text in ("auto", "dhcp", "manual") or is_cidr6(text),
        "ipv6 network configuration",
    ),
    "lxc-ip-with-ll-iface": (
        lambda text: text == "host" or is_ip(text) or _is_link_local(text),
        "IP address",
    ),
    "dns-name": (is_dns_name, "DNS name"),
    "address": (is_host, "IP address or DNS name"),
    "pve-storage-server": (is_host, "server name or IP address"),
    "pve-storage-portal-dns": (is_portal, "server name or IP address with port"),
    "mac-addr": (partial(re.fullmatch, _MAC), "unicast MAC address"),
    "mac-prefix": (partial(re.fullmatch, _MAC_PREFIX), "unicast MAC address prefix"),
    "pve-iface": (partial(re.fullmatch, _IFACE), "interface name"),
    "pve-vlan-id-or-range": (_is_vlans, "VLAN ID or range"),
    "pve-fw-addr-spec": (_is_address_spec, "list of addresses"),
    "pve-fw-sport-spec": (_is_port_spec, "list of ports"),
    "pve-fw-dport-spec": (_is_port_spec, "list of ports"),
    "pve-fw-protocol-spec": (_is_service, "protocol"),
    "pve-fw-icmp-type-spec": (_is_service, "ICMP type"),
}


def check(name: str) -> Check | None:
    """Return the check of the format ``name``, or None where it is none of a network value."""
    if name not in _RULES:
        return None
    rule, noun = _RULES[name]
    return partial(_look, rule, f"value does not look like a valid {noun}")


def _look(rule: Callable[[str], object], text: str, value: str) -> str | None:
    return None if rule(value) else text
