"""The embedded Proxmox against recordings of a real node: every exchange, both ways in.

Whatever differs stands in ``known_differences.toml`` with its reason; a difference that is
mended must leave that list, and the list must stay short.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

from .replay import GOLDEN, Difference, Replay
from .wires import WIRES, wire

SCORED = (
    "01_auth",
    "02_params_routing",
    "03_lxc_lifecycle",
    "05_lxc_clone_template",
    "06_lxc_snapshot",
    "07_lxc_backup_restore",
    "08_config_pools_storage",
    "10_qemu",
    "11_cleanup_edge_cases",
    "14_sandbox_protocol",
    "15_block_lease",
    "16_move_volume_update",
    "17_order_of_judgement",
)
KNOWN = tomllib.loads(
    Path(__file__).with_name("known_differences.toml").read_text(encoding="utf-8")
)


def world_of(name: str) -> World:
    """Return the node as a recording found it (golden/worlds/README.md)."""
    own = GOLDEN / "worlds" / f"{name}.json"
    return World.load(own if own.exists() else GOLDEN / "worlds" / "node.json")


@cache
def replayed(kind: str, name: str) -> tuple[list[Difference], int, list[Exception]]:
    """Return the differences of one recording, how many were compared, what broke."""
    sim = Simulator(world_of(name))
    with wire(kind, sim) as send:
        replay = Replay(name, send)
        differences = list(replay.run())
    return differences, replay.scored, sim.crashes


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("name", SCORED)
def test_answers_are_the_recorded_ones_but_for_the_known_differences(name: str, kind: str) -> None:
    differences, _, crashes = replayed(kind, name)
    known = {entry["seq"] for entry in KNOWN.get(name, [])}
    new = [f"{d.seq} {d.name}: {d.depth}: {d.what}" for d in differences if d.seq not in known]
    mended = known - {d.seq for d in differences}
    assert not crashes
    assert not new, "\n".join(new)
    assert not mended, f"these agree now, take them off the list: {sorted(mended)}"


def agreement(results: Iterable[tuple[list[Difference], int]]) -> tuple[float, float]:
    """Return the share of exchanges whose status and reason agree, and whose body does too."""
    bodies = statuses = total = 0
    for differences, scored in results:
        total += scored
        bodies += len(differences)
        statuses += sum(1 for d in differences if d.depth in ("status", "reason"))
    return 1 - statuses / total, 1 - bodies / total


@pytest.mark.parametrize("kind", WIRES)
def test_agreement_is_above_99_5_per_cent_and_98_with_bodies(kind: str) -> None:
    status, body = agreement(replayed(kind, name)[:2] for name in SCORED)
    assert status >= 0.995
    assert body >= 0.98


def test_agreement_on_one_bare_server_is_above_99_3_per_cent_and_98_with_bodies() -> None:
    """One recording after another on what the node was set up with: each meets what is left."""
    results = []
    with wire("in-process", Simulator(World.load(GOLDEN / "world.json"))) as send:
        for name in SCORED:
            replay = Replay(name, send)
            results.append((list(replay.run()), replay.scored))
    status, body = agreement(results)
    assert status >= 0.993
    assert body >= 0.98


def test_every_known_difference_says_why() -> None:
    reasons = [entry["reason"] for entries in KNOWN.values() for entry in entries]
    assert all(len(reason) > 20 for reason in reasons)
    assert len(reasons) <= 20
