"""Hypothesis strategies for Proxmox's values and worlds, and a machine that acts on a client.

Needs the extra ``hypothesis``. Everything generated is valid for PVE 9: a client that refuses
one of these values, or a simulator that does, has a mistake.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.errors import MissingExtra
from pytest_proxmox.values import VMID_MIN, Vmid

try:
    from hypothesis import strategies as st
except ImportError as exc:
    raise MissingExtra.for_feature("pytest_proxmox.strategies", extra="hypothesis") from exc

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

ALNUM: Final = string.ascii_lowercase + string.digits
WORLD_VMIDS: Final = 99_999  # small enough to read in a report
BRIDGES: Final = ("vmbr0", "vmbr1")
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?"


def vmids(minimum: int = VMID_MIN, maximum: int = 999_999_999) -> SearchStrategy[Vmid]:
    """Return a strategy for VMIDs from ``minimum`` to ``maximum``, both included."""
    return st.integers(minimum, maximum).map(Vmid)


def hostnames() -> SearchStrategy[str]:
    """Return a strategy for names that PVE takes for a guest: DNS names of one to three labels."""
    label = st.from_regex(_LABEL, fullmatch=True)
    return st.lists(label, min_size=1, max_size=3).map(".".join).filter(lambda n: len(n) <= 63)


def node_names() -> SearchStrategy[str]:
    """Return a strategy for names of cluster nodes."""
    return st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def mac_addresses() -> SearchStrategy[str]:
    """Return a strategy for MAC addresses of one station, in capitals as PVE writes them."""
    octets = st.integers(0, 255)
    rest = st.tuples(octets, octets, octets)
    return rest.map(lambda parts: "BC:24:11:" + ":".join(f"{part:02X}" for part in parts))


def tags() -> SearchStrategy[str]:
    """Return a strategy for tag lists as PVE stores them: lower case, sorted, each once."""
    tag = st.from_regex(r"[a-z0-9_][a-z0-9_.+-]{0,12}", fullmatch=True)
    return st.lists(tag, min_size=1, max_size=5, unique=True).map(lambda t: ";".join(sorted(t)))


@st.composite
def property_strings(draw: st.DrawFn, kind: str = "net") -> str:
    """Return a strategy for property strings: ``net`` of a container, ``rootfs`` or ``mp``.

    Raises:
        ValueError: there is no such kind.
    """
    if kind == "net":
        parts = {"name": draw(st.sampled_from(["eth0", "eth1", "lan"]))}
        parts |= draw(_some(bridge=st.sampled_from(BRIDGES), hwaddr=mac_addresses()))
        parts |= draw(_some(ip=st.sampled_from(["dhcp", "manual", "10.0.0.5/24"])))
        parts |= draw(_some(tag=st.integers(1, 4094), mtu=st.integers(576, 9000)))
    elif kind in ("rootfs", "mp"):
        size = draw(st.integers(1, 64))
        parts = {"volume": f"local-lvm:{size}"}
        if kind == "mp":
            parts["mp"] = "/" + draw(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True))
            parts |= draw(_some(backup=st.integers(0, 1)))
        parts |= draw(_some(ro=st.integers(0, 1), quota=st.integers(0, 1)))
    else:
        raise ValueError(f'there is no property string "{kind}"; use net, rootfs or mp')
    text = ",".join(f"{key}={value}" for key, value in parts.items())
    return text.removeprefix("volume=")


def _some(**choices: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy for any part of these keys."""
    return st.fixed_dictionaries({}, optional=dict(choices))


@st.composite
def guest_configs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a strategy for container configurations that a create request may carry."""
    config: dict[str, Any] = draw(
        _some(
            hostname=hostnames(),
            cores=st.integers(1, 16),
            memory=st.integers(16, 65_536),
            swap=st.integers(0, 8192),
            onboot=st.integers(0, 1),
            tags=tags(),
            description=st.text(
                st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=40
            ),
            net0=property_strings("net"),
            mp0=property_strings("mp"),
        )
    )
    return config


@st.composite
def worlds(draw: st.DrawFn, *, max_nodes: int = 3, max_guests: int = 8) -> dict[str, Any]:
    """Return a strategy for world files, as dictionaries: nodes, storages and guests."""
    nodes = draw(st.lists(node_names(), min_size=1, max_size=max_nodes, unique=True))
    numbers = draw(st.lists(vmids(maximum=WORLD_VMIDS), max_size=max_guests, unique=True))
    guests = [
        {
            "vmid": int(vmid),
            "type": draw(st.sampled_from(["lxc", "qemu"])),
            "node": draw(st.sampled_from(nodes)),
            "status": draw(st.sampled_from(["running", "stopped"])),
            "name": draw(hostnames()),
        }
        for vmid in numbers
    ]
    return {
        "cluster": "pytest" if len(nodes) > 1 else None,
        "nodes": {name: {"maxcpu": draw(st.integers(1, 64))} for name in nodes},
        "storages": {
            "local": {"type": "dir", "path": "/var/lib/vz", "content": ["vztmpl", "backup"]},
            "local-lvm": {
                "type": "lvmthin",
                "vgname": "pve",
                "thinpool": "data",
                "content": ["rootdir", "images"],
            },
        },
        "volumes": [{"volid": "local:vztmpl/alpine.tar.xz", "size": 1_000_000}],
        "users": {"root@pam": {"password": "secret"}},
        "guests": guests,
    }
