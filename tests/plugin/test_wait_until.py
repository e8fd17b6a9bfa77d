"""``Guest.wait_until`` waits for what a guest is there for, and says what it did instead."""

from __future__ import annotations

import json

import pytest

from pytest_proxmox.simulator.world import World
from tests.plugin.conftest import Project

GOOD, SICK = "local:vztmpl/web-1.0.tar.xz", "local:vztmpl/web-2.0.tar.xz"


@pytest.fixture
def served(project: Project) -> Project:
    """A project whose containers serve HTTP on port 8080, well or never well."""
    world = {
        **World.preset("single").data,
        "volumes": [{"volid": volid, "size": 1_000_000} for volid in (GOOD, SICK)],
        "workloads": {GOOD: {"serves": "web"}, SICK: {"serves": "failing"}},
    }
    project.write("world.json", json.dumps(world))
    project.ini("proxmox_world = world.json")
    return project


def test_http_and_port_are_waited_for(served: Project) -> None:
    served.write(
        "test_it.py",
        "def test_it(lxc):\n"
        "    assert lxc.wait_until(http='/', port=8080, log='OK') is lxc\n"
        "    lxc.wait_until(http=f'{lxc.url}:8080/')\n"
        "    lxc.wait_until(port=8080)\n",
    )
    served.run().assert_outcomes(passed=1)


def test_answer_that_is_an_error_is_not_ready(served: Project) -> None:
    served.write(
        "test_it.py",
        "import pytest\n"
        "from pytest_proxmox.errors import NotReady\n"
        "def test_it(proxmox_sandbox):\n"
        f"    guest = proxmox_sandbox.lxc(ostemplate='{SICK}', start=1)\n"
        "    with pytest.raises(NotReady, match='GET http://.*:8080/health: 503'):\n"
        "        guest.wait_until(http='/health', port=8080, timeout_s=2)\n"
        "    with pytest.raises(NotReady, match='port 1 is closed'):\n"
        "        guest.wait_until(port=1, timeout_s=2)\n",
    )
    served.run().assert_outcomes(passed=1)


def test_log_of_the_newest_task_is_waited_for(served: Project) -> None:
    served.write(
        "test_it.py",
        "def test_it(lxc):\n    assert lxc.wait_until(log='^TASK OK$') is lxc\n",
    )
    served.run().assert_outcomes(passed=1)


def test_what_never_comes_is_named(served: Project) -> None:
    served.write(
        "test_it.py",
        "import pytest\n"
        "from pytest_proxmox.errors import InvalidValue, NotReady\n"
        "def test_log(lxc):\n"
        "    with pytest.raises(NotReady, match='not ready after . s: the log of its vzstart'):\n"
        "        lxc.wait_until(log='never', timeout_s=3)\n"
        "def test_http(lxc):\n"
        "    with pytest.raises(NotReady, match='has no address|GET http://.*no answer|closed'):\n"
        "        lxc.wait_until(http='/health', port=1, timeout_s=1)\n"
        "def test_nothing(lxc):\n"
        "    with pytest.raises(InvalidValue, match='nothing to wait for'):\n"
        "        lxc.wait_until()\n"
        "    with pytest.raises(InvalidValue, match='no regular expression'):\n"
        "        lxc.wait_until(log='(')\n",
    )
    served.run().assert_outcomes(passed=3)
