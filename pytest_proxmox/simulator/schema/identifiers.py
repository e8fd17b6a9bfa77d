"""Formats of names and small words: ids, users, volumes, privileges, lists of fixed choices.

Texts marked *recorded* stand in the golden files, those marked *reported* in public bug reports.
The syntax of the others is that of the Proxmox VE reference documentation; where even that is
silent the rule is the widest that the value's use allows, and the text is phrased alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from pytest_proxmox.simulator.schema.addresses import Check, is_dns_name

POOL_LEVELS = 3  # golden 14 seq 22

# All there are in PVE 9: what the recorded root user holds, and the two for realms that only
# the declared permissions name.
_PRIVILEGES = """
    Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit
    Group.Allocate Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify
    Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser
    SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming
    Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone
    VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType
    VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.GuestAgent.Audit
    VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite
    VM.GuestAgent.Unrestricted VM.Migrate VM.PowerMgmt VM.Replicate VM.Snapshot
    VM.Snapshot.Rollback
    """
PRIVILEGES = frozenset(_PRIVILEGES.split())

_ID = r"[A-Za-z][A-Za-z0-9_-]+"
_WORD = r"[A-Za-z0-9._-]+"
_REALM = r"[A-Za-z][A-Za-z0-9._-]+"
_USER = rf"[^\s:/]+@{_REALM}"
_STORAGE = r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]"
_VOLUME = rf"{_STORAGE}:\S+"
_DRIVE = r"(ide|sata|scsi|virtio)[0-9]+"
_HOTPLUG = r"(network|disk|cpu|memory|usb|cloudinit)"
_ALIKE = "value does not look like a valid "
_BASE64_BLOCK = r"[A-Za-z0-9+/=\s]+"


def _pem(noun: str) -> str:
    return rf"-----BEGIN {noun}-----{_BASE64_BLOCK}-----END {noun}-----"


# format -> pattern of the whole value, text of the error ({value} stands for the value)
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "pve-vmid": (r"[1-9][0-9]{2,8}", _ALIKE + "VM ID"),  # recorded
    "pve-node": (r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", _ALIKE + "node name"),  # reported
    "pve-configid": (_ID, "invalid configuration ID '{value}'"),  # recorded
    "pve-storage-id": (_STORAGE, "storage ID '{value}' contains illegal characters"),  # recorded
    "pve-userid": (_USER, "value '{value}' does not look like a valid user name"),
    "pve-tokenid": (rf"{_USER}!{_REALM}", "value '{value}' does not look like a valid token ID"),
    "pve-realm": (_REALM, _ALIKE + "realm"),
    "pve-groupid": (_WORD, "group name '{value}' contains invalid characters"),
    "pve-roleid": (_WORD, "role name '{value}' contains invalid characters"),
    "pve-tag": (r"(?i:[a-z0-9_][a-z0-9_+.-]*)", "invalid characters in tag"),  # recorded
    "pve-bridge-id": (r"[-_.\w]+", "invalid bridge ID '{value}'"),
    "pve-volume-id": (_VOLUME, "unable to parse volume ID '{value}'"),  # recorded
    "pve-volume-id-or-absolute-path": (rf"/.+|{_VOLUME}", "unable to parse volume ID '{value}'"),
    "pve-volume-id-or-qm-path": (
        rf"none|cdrom|/.+|{_VOLUME}",
        "unable to parse volume ID '{value}'",  # recorded
    ),
    "pve-storage-path": (r"/[^\0]*", _ALIKE + "absolute path"),  # recorded
    "pve-storage-path-in-property-string": (r"/[^\0,=]*", _ALIKE + "absolute path"),
    "pve-lxc-dev-string": (r"/dev/[^\0]+", _ALIKE + "device path"),
    "pve-storage-options": (r"[\w.-]+(=[^,\s]+)?(,[\w.-]+(=[^,\s]+)?)*", _ALIKE + "mount option"),
    "pve-storage-vgname": (r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*", _ALIKE + "lvm name"),
    "pve-storage-zfs-blocksize": (r"[0-9]+[kKmM]?", _ALIKE + "block size"),
    "pve-dir-override": (r"[a-z]+=[^,;\s]+", _ALIKE + "content directory"),
    "disk-size": (r"[0-9]+(\.[0-9]+)?[KMGT]?", _ALIKE + "disk size: {value}"),  # reported
    "pve-ha-resource-id": (r"(ct|vm):[1-9][0-9]{2,8}", _ALIKE + "resource ID"),
    "pve-ha-resource-or-vm-id": (
        r"((ct|vm):)?[1-9][0-9]{2,8}",
        _ALIKE + "resource ID",
    ),
    "pve-ha-node": (rf"{_WORD}(:[0-9]+)?", _ALIKE + "node with priority"),
    "pve-replication-job-id": (r"[1-9][0-9]{2,8}-[0-9]{1,9}", _ALIKE + "replication job ID"),
    "pve-task-status-type": (r"ok|error|warning|unknown", _ALIKE + "task status"),
    "pve-day-of-week": (r"mon|tue|wed|thu|fri|sat|sun", _ALIKE + "day of week"),
    # systemd's calendar events with Proxmox's additions; only the characters are checked
    "pve-calendar-event": (r"[A-Za-z0-9*,:./ -]+", "unable to parse calendar event"),
    "pve-cpuset": (r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", _ALIKE + "list of CPUs"),
    "pve-ct-timezone": (r"[A-Za-z][A-Za-z0-9_+/-]*", "'{value}' is not a valid timezone"),
    "pve-phys-bits": (r"host|[89]|[1-5][0-9]|6[0-4]", _ALIKE + "number of address bits"),
    "pve-hotplug-features": (
        rf"[01]|{_HOTPLUG}([,; ]{_HOTPLUG})*",
        "unable to parse hotplug features",
    ),
    "pve-qm-bootdisk": (_DRIVE, "invalid boot disk '{value}'"),
    "pve-fw-conntrack-helper": (
        r"([a-z0-9-]+([,; ]+[a-z0-9-]+)*)?",
        "invalid conntrack helper '{value}'",
    ),
    "pve-sdn-fabric-id": (r"[A-Za-z0-9][A-Za-z0-9-]{0,6}[A-Za-z0-9]", _ALIKE + "fabric ID"),
    "pve-sdn-subnet-id": (r"([A-Za-z0-9]+-)?[0-9A-Fa-f.:]+[-/][0-9]{1,3}", _ALIKE + "subnet ID"),
    "pve-sdn-isis-net": (
        r"[A-Fa-f0-9]{2}(\.[A-Fa-f0-9]{4}){3,9}\.[A-Fa-f0-9]{2}",
        _ALIKE + "IS-IS network entity title",
    ),
    "pve-sdn-bgp-rt": (r"[0-9.]+:[0-9]+", _ALIKE + "BGP route target"),
    "pve-acme-alias": (r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?", _ALIKE + "domain"),
    "graphite-path": (r"[A-Za-z0-9_.-]+", _ALIKE + "graphite path"),
    "ldap-simple-attr": (r"[A-Za-z0-9]+", _ALIKE + "simple ldap attribute"),
    "email": (r"[A-Za-z0-9+=_.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", _ALIKE + "email address"),
    "email-or-username": (
        rf"[A-Za-z0-9+=_.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|{_USER}",
        _ALIKE + "email address or user name",
    ),
    "urlencoded": (r"[A-Za-z0-9%_.!~*'()+-]*", "invalid urlencoded string: {value}"),
    "bridge-pair": (r"[-_.\w]+(:[-_.\w]+)?", "invalid bridge pair '{value}'"),
    "storage-pair": (
        rf"1|{_STORAGE}(:{_STORAGE})?",
        "storage ID '{value}' contains illegal characters",
    ),
    "pem-string": (
        r"\s*-----BEGIN [A-Z0-9 ]+-----[\s\S]+-----END [A-Z0-9 ]+-----\s*",
        _ALIKE + "PEM",
    ),
    "pem-certificate": (rf"\s*{_pem('CERTIFICATE')}\s*", _ALIKE + "PEM certificate"),
    "pem-certificate-chain": (
        rf"\s*({_pem('CERTIFICATE')}\s*)+",
        _ALIKE + "PEM certificate chain",
    ),
}

# format -> the words there are, text of the error; recorded
_CHOICES: Mapping[str, tuple[frozenset[str], str]] = {
    "pve-priv": (PRIVILEGES, "invalid privilege '{value}'"),
    "pve-storage-content": (
        frozenset(("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")),
        "invalid content type '{value}'",
    ),
}

_DOTS = r"(^|/)\.\.?(/|$)"
_POOL_PART = r"[A-Za-z][A-Za-z0-9._-]*"


def _matches(pattern: re.Pattern[str], text: str, value: str) -> str | None:
    return None if pattern.fullmatch(value) else text.format(value=value)


def _is_one_of(words: frozenset[str], text: str, value: str) -> str | None:
    return None if value in words else text.format(value=value)


def _pool(value: str) -> str | None:
    parts = value.split("/")
    if not all(re.fullmatch(_POOL_PART, part) for part in parts):
        return f"pool name '{value}' contains invalid characters"
    if len(parts) > POOL_LEVELS:
        return f"pool name '{value}' nested too deeply (max levels = {POOL_LEVELS})"
    return None


def _mount(value: str) -> str | None:
    # A volume, a size on the default storage, a device or a folder: what it is, the handler
    # sees (golden 02 seq 47, 61, 105); here only steps out of the way (golden 08 seq 43).
    return f"{value} contains illegal character sequences" if re.search(_DOTS, value) else None


def _acme_domain(value: str) -> str | None:
    return None if is_dns_name(value.removeprefix("*.")) else _ALIKE + "domain"


_RULES: Mapping[str, Check] = {
    "pve-poolid": _pool,
    "pve-lxc-mp-string": _mount,
    "pve-acme-domain": _acme_domain,
}


def check(name: str) -> Check | None:
    """Return the check of the format ``name``, or None where it is none of a name or word."""
    if name in _PATTERNS:
        pattern, text = _PATTERNS[name]
        return partial(_matches, re.compile(pattern), text)
    if name in _CHOICES:
        words, text = _CHOICES[name]
        return partial(_is_one_of, words, text)
    return _RULES.get(name)
