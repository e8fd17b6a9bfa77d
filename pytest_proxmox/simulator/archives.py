"""Backup archives: their names, what they hold, and which of them a retention keeps."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_proxmox.simulator.state import Guest, Volume

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

SUFFIX: Final = {
    ("lxc", "0"): "tar",
    ("lxc", "zstd"): "tar.zst",
    ("lxc", "gzip"): "tar.gz",
    ("lxc", "lzo"): "tar.lzo",
    ("qemu", "0"): "vma",
    ("qemu", "zstd"): "vma.zst",
    ("qemu", "gzip"): "vma.gz",
    ("qemu", "lzo"): "vma.lzo",
}
RATIO: Final = {"0": 1.0, "zstd": 0.44, "gzip": 0.46, "lzo": 0.6}
EMPTY_ARCHIVE: Final = 10_240
KEEP_ALL: Final = "keep-all"


def name(guest: Guest, moment: float, compress: str) -> str:
    """Return an archive's name: kind, VMID and the time at which the task started."""
    stamp = datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y_%m_%d-%H_%M_%S")
    return f"backup/vzdump-{guest.kind}-{guest.vmid}-{stamp}.{SUFFIX[guest.kind, compress]}"


def subtype(volume: Volume) -> str:
    """Return the kind of guest that an archive holds."""
    return "qemu" if "vzdump-qemu-" in volume.name else "lxc"


def holdings(sim: Simulator, guest: Guest, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return what an archive of a guest holds: its configuration and its volumes by key."""
    volumes: dict[str, Any] = {}
    for key, volid in keys.items():
        volume = sim.volumes.find(volid, guest.node)
        if volume is not None:
            volumes[key] = {
                "size": volume.size,
                "used": volume.used,
                "format": volume.format,
                "data": volume.data,
            }
    config = {k: v for k, v in guest.config.items() if k not in ("lock", "parent")}
    return {"config": config, "volumes": volumes, "kind": guest.kind}


def config_text(config: Mapping[str, Any]) -> str:
    """Return a configuration as its file has it: the description as comments, keys sorted."""
    words = str(config.get("description", ""))
    lines = [f"#{line}" for line in words.splitlines()]
    lines += [f"{key}: {config[key]}" for key in sorted(config) if key != "description"]
    return "".join(f"{line}\n" for line in lines)


# --- retention, as Proxmox's public documentation describes it ----------------------------------

_PERIODS: Final[tuple[tuple[str, Callable[[datetime.datetime], str]], ...]] = (
    ("keep-hourly", lambda t: t.strftime("%Y-%m-%d/%H")),
    ("keep-daily", lambda t: t.strftime("%Y-%m-%d")),
    ("keep-weekly", lambda t: "{}-{}".format(*t.isocalendar()[:2])),
    ("keep-monthly", lambda t: t.strftime("%Y-%m")),
    ("keep-yearly", lambda t: t.strftime("%Y")),
)


def retention(text: str | None) -> dict[str, int]:
    """Return a retention as numbers by rule; none at all keeps everything."""
    found: dict[str, int] = {}
    for part in (text or f"{KEEP_ALL}=1").split(","):
        key, _, value = part.partition("=")
        found[key.strip()] = int(value or 0)
    return found


def marks(volumes: Iterable[Volume], rules: Mapping[str, int]) -> dict[str, str]:
    """Return ``keep``, ``remove`` or ``protected`` for each archive of one guest."""
    newest_first = sorted(volumes, key=lambda volume: (volume.ctime, volume.volid), reverse=True)
    found = {volume.volid: "protected" for volume in newest_first if volume.protected}
    judged = [volume for volume in newest_first if not volume.protected]
    if rules.get(KEEP_ALL) or not any(rules.values()):
        return found | {volume.volid: "keep" for volume in judged}
    for volume in judged[: rules.get("keep-last", 0)]:
        found[volume.volid] = "keep"
    for rule, period in _PERIODS:
        _keep_by_period(judged, rules.get(rule, 0), period, found)
    return {volume.volid: "remove" for volume in judged} | found


def _keep_by_period(
    judged: list[Volume],
    count: int,
    period: Callable[[datetime.datetime], str],
    found: dict[str, str],
) -> None:
    """Keep the newest archive of each of the last ``count`` periods that have none yet.

    The others of such a period are covered by it: the rules that follow look at older ones only.
    """
    which = {
        volume.volid: period(datetime.datetime.fromtimestamp(volume.ctime, datetime.UTC))
        for volume in judged
    }
    covered = {which[volid] for volid, mark in found.items() if mark == "keep"}
    fresh: set[str] = set()
    for volume in judged:
        mine = which[volume.volid]
        if volume.volid in found or mine in covered:
            continue
        if mine not in fresh and len(fresh) == count:
            return
        found[volume.volid] = "remove" if mine in fresh else "keep"
        fresh.add(mine)
