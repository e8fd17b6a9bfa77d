"""Property strings that the API facts call by a name instead of writing them out.

Syntax and limits are those of the Proxmox VE reference documentation (qm.conf, vzdump, user
realms); fleecing, performance and pruning stand written out in the return shape of
``GET /cluster/backup``. Where the documentation names no limit there is none here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Layout = Mapping[str, Mapping[str, Any]]

_TEXT = {"type": "string", "optional": 1}
_SWITCH = {"type": "boolean", "optional": 1}
_COUNT = {"type": "integer", "optional": 1, "minimum": 0}
_HEX_ID = {"type": "string", "optional": 1, "pattern": "0x[0-9a-fA-F]{4}"}
_STORED = {"type": "string", "optional": 1, "format": "pve-volume-id"}
_PCI = r"(?i:(?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-9a-f])?)"
_FLAG = r"[+-][A-Za-z0-9_.-]+"

_HOSTPCI: Layout = {
    "host": {**_TEXT, "default_key": 1, "pattern": f"{_PCI}(;{_PCI})*"},
    "mapping": {**_TEXT, "format": "pve-configid"},
    "device-id": _HEX_ID,
    "vendor-id": _HEX_ID,
    "sub-device-id": _HEX_ID,
    "sub-vendor-id": _HEX_ID,
    "driver": {**_TEXT, "enum": ["vfio", "keep"]},
    "legacy-igd": _SWITCH,
    "mdev": {**_TEXT, "pattern": r"[^/.:]+"},
    "pcie": _SWITCH,
    "rombar": _SWITCH,
    "romfile": {**_TEXT, "pattern": r"[^,;]+"},
    "x-vga": _SWITCH,
}
_RNG: Layout = {
    "source": {
        "type": "string",
        "default_key": 1,
        "enum": ["/dev/urandom", "/dev/random", "/dev/hwrng"],
    },
    "max_bytes": _COUNT,
    "period": _COUNT,
}
_BASE64 = {**_TEXT, "pattern": r"[A-Za-z0-9+/]+={0,2}"}
_SMBIOS: Layout = {
    "uuid": {**_TEXT, "pattern": r"[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"},
    "base64": _SWITCH,
    **dict.fromkeys(("family", "manufacturer", "product", "serial", "sku", "version"), _BASE64),
}
_WATCHDOG: Layout = {
    "model": {**_TEXT, "default_key": 1, "enum": ["i6300esb", "ib700"]},
    "action": {**_TEXT, "enum": ["reset", "shutdown", "poweroff", "pause", "debug", "none"]},
}
_IPCONFIG: Layout = {
    "ip": {**_TEXT, "format": "pve-ipv4-config"},
    "gw": {**_TEXT, "format": "ipv4", "requires": "ip"},
    "ip6": {**_TEXT, "format": "pve-ipv6-config"},
    "gw6": {**_TEXT, "format": "ipv6", "requires": "ip6"},
}
_CPU: Layout = {
    "cputype": {**_TEXT, "default_key": 1, "pattern": r"[A-Za-z0-9._-]+"},
    "flags": {**_TEXT, "pattern": f"{_FLAG}(;{_FLAG})*"},
    "guest-phys-bits": {"type": "integer", "optional": 1, "minimum": 32, "maximum": 64},
    "hidden": _SWITCH,
    "hv-vendor-id": {**_TEXT, "pattern": "[a-zA-Z0-9]{1,12}"},
    "phys-bits": {**_TEXT, "format": "pve-phys-bits"},
    "reported-model": {**_TEXT, "pattern": r"[A-Za-z0-9._-]+"},
}
_SEV: Layout = {
    "type": {"type": "string", "default_key": 1, "enum": ["std", "es", "snp"]},
    **dict.fromkeys(("allow-smt", "kernel-hashes", "no-debug", "no-key-sharing"), _SWITCH),
}
_TDX: Layout = {
    "type": {"type": "string", "default_key": 1, "enum": ["tdx"]},
    "attestation": _SWITCH,
    "vsock-cid": {"type": "integer", "optional": 1, "minimum": 2},
    "vsock-port": _COUNT,
}
_PRUNING: Layout = {
    "keep-all": _SWITCH,
    **dict.fromkeys(
        ("keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"),
        _COUNT,
    ),
}
_REMOTE: Layout = {
    "host": {"type": "string", "format": "address"},
    "port": {"type": "integer", "optional": 1},
    "apitoken": {"type": "string"},
    "fingerprint": {**_TEXT, "pattern": "([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"},
}
_VANISHED = "(?:acl|properties|entry)(?:;(?:acl|properties|entry))*|none"

LAYOUTS: Mapping[str, Layout] = {
    "backup-fleecing": {
        "enabled": {**_SWITCH, "default_key": 1},
        "storage": {**_TEXT, "format": "pve-storage-id"},
    },
    "backup-performance": {
        "max-workers": {"type": "integer", "optional": 1, "minimum": 1, "maximum": 256},
        "pbs-entries-max": {"type": "integer", "optional": 1, "minimum": 1},
    },
    "prune-backups": _PRUNING,
    "proxmox-remote": _REMOTE,
    "pve-qemu-sev-fmt": _SEV,
    "pve-qemu-tdx-fmt": _TDX,
    "pve-qm-boot": {
        "legacy": {**_TEXT, "default_key": 1, "pattern": "[acdn]{1,4}"},
        "order": {**_TEXT, "pattern": r"[a-z]+[0-9]+(;[a-z]+[0-9]+)*"},
    },
    "pve-qm-cicustom": dict.fromkeys(("meta", "network", "user", "vendor"), _STORED),
    "pve-qm-hostpci": _HOSTPCI,
    "pve-qm-ipconfig": _IPCONFIG,
    "pve-qm-rng": _RNG,
    "pve-qm-smbios1": _SMBIOS,
    "pve-qm-watchdog": _WATCHDOG,
    "pve-sdn-dhcp-range": {
        "start-address": {"type": "string", "format": "ip"},
        "end-address": {"type": "string", "format": "ip"},
    },
    "pve-startup-order": {"order": {**_COUNT, "default_key": 1}, "up": _COUNT, "down": _COUNT},
    "pve-tfa-config": {
        "type": {"type": "string", "enum": ["yubico", "oath"]},
        "digits": {"type": "integer", "optional": 1, "minimum": 6, "maximum": 8},
        "id": _TEXT,
        "key": _TEXT,
        "step": {"type": "integer", "optional": 1, "minimum": 10},
        "url": {**_TEXT, "pattern": r"https?://.*"},
    },
    "pve-vm-cpu-conf": _CPU,
    "realm-sync-options": {
        "scope": {**_TEXT, "enum": ["users", "groups", "both"]},
        "enable-new": _SWITCH,
        "full": _SWITCH,
        "purge": _SWITCH,
        "remove-vanished": {**_TEXT, "pattern": _VANISHED},
    },
}
