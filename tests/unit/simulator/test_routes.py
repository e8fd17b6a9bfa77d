"""Which module of the API is imported for which path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_proxmox.simulator import routes
from pytest_proxmox.simulator.family import Family

MODULES = sorted(
    file.stem for file in Path(routes.__file__).parent.glob("*.py") if file.stem != "__init__"
)


def found_elsewhere(family: Family) -> list[tuple[str, str]]:
    """Return the methods of a family that a look-up does not find, or finds in another."""
    return [key for key, own in family.handlers.items() if routes.handler(*key) is not own]


@pytest.mark.parametrize("module", MODULES)
def test_every_handler_and_worker_is_found(module: str) -> None:
    family = routes.family(module)
    assert not found_elsewhere(family)
    assert all(routes.worker(name) is own for name, own in family.workers.items())


def test_all_modules_are_among_the_families() -> None:
    names = {id(family) for family in routes.families()}
    assert {id(routes.family(module)) for module in MODULES} == names


def test_what_nobody_handles_is_none() -> None:
    assert routes.handler("GET", "/nodes/{node}/ceph/osd") is None
    assert routes.worker("brew") is None


def test_a_simulator_starts_without_the_modules_of_the_api() -> None:
    code = (
        "import sys\n"
        "from pytest_proxmox.simulator.simulator import Simulator\n"
        "Simulator()\n"
        "print(*[m for m in sys.modules if 'simulator.routes.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
