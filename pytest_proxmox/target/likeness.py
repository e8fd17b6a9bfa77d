"""Likeness: whether one Proxmox's answer is another's, but for what changes from run to run.

For recordings and for two that are asked the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

VOLATILE: Final = frozenset(
    "digest pid pstart starttime endtime uptime cpu mem disk netin netout diskread diskwrite ctime"
    " used avail total used_fraction ticket CSRFPreventionToken value snaptime maxdisk size"
    " loadavg idle wait mhz model flags kversion current-kernel memory rootfs swap maxswap"
    " ssl_fingerprint memhost saved expire pveversion repoid version release cpuinfo boot-info"
    " ksm free pressurecpusome pressurecpufull pressureiosome pressureiofull"
    " pressurememorysome pressurememoryfull maxmem level hwaddr net0 cap password time port"
    " upid".split()
)
_KEYS: Final = (
    "vmid volid upid poolid storage userid roleid name id key node iface n tokenid".split()
)
UPID: Final = re.compile(
    r"UPID:[^:\s\"']+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s\"']+:"
)
STAMP: Final = re.compile(r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d")
_NUMBER: Final = re.compile(r"\b(pid|PID|process) \d+\b|\b[0-9a-f]{40}\b")
_FOLDER: Final = re.compile(r"/[\w./-]*/(?=images/|dump/|template/)")


@dataclass(frozen=True, slots=True)
class Heard:
    """A server's answer; ``status`` is 0 where none came, and ``reason`` says why."""

    status: int
    reason: str
    body: Any


def plain(text: str) -> str:
    """Return a text with what changes from run to run replaced: UPIDs, times, pids, folders."""
    return _FOLDER.sub("/…/", UPID.sub("UPID", _NUMBER.sub("#", STAMP.sub("STAMP", text)))).strip()


def difference(want: Any, got: Any, vmids: set[str], where: str = "data") -> str | None:
    """Return the first place where two bodies differ, or None.

    Fields that change from run to run must be there with the same type, all others must be equal;
    lists are compared without order, and entries of other guests than ``vmids`` left out.
    """
    if isinstance(want, dict) and isinstance(got, dict):
        return _objects_differ(want, got, vmids, where)
    if isinstance(want, list) and isinstance(got, list):
        return _lists_differ(want, got, vmids, where)
    if isinstance(want, str) and isinstance(got, str):
        return None if plain(want) == plain(got) else f"{where}: {got!r} for {want!r}"
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (want, got))
    same = want == got and (numbers or type(want) is type(got))
    return None if same else f"{where}: {got!r} for {want!r}"


def _objects_differ(
    want: dict[str, Any], got: dict[str, Any], vmids: set[str], where: str
) -> str | None:
    missing, extra = sorted(set(want) - set(got)), sorted(set(got) - set(want))
    if missing:
        return f"{where}: lacks {missing}"
    if extra:
        return f"{where}: has {extra} too much"
    for key in want:
        if key in VOLATILE:
            a, b = want[key], got[key]
            unlike = isinstance(a, (int, float)) != isinstance(b, (int, float))
            if unlike and a is not None and b is not None:
                return f"{where}.{key}: {type(b).__name__} for {type(a).__name__}"
            continue
        found = difference(want[key], got[key], vmids, f"{where}.{key}")
        if found:
            return found
    return None


def _lists_differ(want: list[Any], got: list[Any], vmids: set[str], where: str) -> str | None:
    def ours(entry: Any) -> bool:
        return not isinstance(entry, dict) or "vmid" not in entry or str(entry["vmid"]) in vmids

    def order(entry: Any) -> str:
        if isinstance(entry, dict):
            for key in _KEYS:
                if key in entry:
                    return plain(f"{key}={entry[key]}")
        return plain(json.dumps(entry, sort_keys=True))

    want, got = sorted(filter(ours, want), key=order), sorted(filter(ours, got), key=order)
    if len(want) != len(got):
        return f"{where}: {len(got)} entries for {len(want)}"
    for number, (a, b) in enumerate(zip(want, got, strict=True)):
        found = difference(a, b, vmids, f"{where}[{number}]")
        if found:
            return found
    return None


def unlikeness(want: Heard, got: Heard, vmids: set[str]) -> tuple[str, str] | None:
    """Return where an answer is not the wanted one, ``status``, ``reason`` or ``body``, and how.

    None where they are alike.
    """
    if got.status != want.status:
        return "status", f"{_line(got)} for {_line(want)}"
    if plain(got.reason) != plain(want.reason):
        return "reason", f"{got.reason!r} for {want.reason!r}"
    found = difference(want.body, got.body, vmids)
    return None if found is None else ("body", found)


def _line(heard: Heard) -> str:
    return f"{heard.status or 'no answer'} {heard.reason!r}"
