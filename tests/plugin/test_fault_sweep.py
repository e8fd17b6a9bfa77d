"""A marked test runs again with a fault at each of its calls; what broke or leaked is told."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

CAREFUL = """
import time
import pytest
import requests
from proxmoxer.core import ResourceException

ERRORS = (requests.exceptions.ConnectionError, ResourceException)

@pytest.mark.proxmox_faults(each_call="drop-before,drop-after,596,lock")
def test_it(lxc, proxmox):
    for _ in range(3):
        try:
            proxmox.nodes('pve').lxc(lxc.vmid).config.put(memory=128)
            assert proxmox.nodes('pve').lxc(lxc.vmid).config.get()['memory'] == 128
            return
        except ERRORS:
            continue
    assert 0, "gave up"

def test_after(proxmox_simulator): assert proxmox_simulator.guests() == []
"""
CARELESS = """
import pytest

@pytest.mark.proxmox_faults(each_call="drop-before,lock")
def test_it(lxc, proxmox):
    proxmox.nodes('pve').lxc(lxc.vmid).config.put(memory=128)
    proxmox.nodes('pve').lxc(lxc.vmid).config.get()
"""
LEAKING = """
import pytest
import requests

@pytest.mark.proxmox_faults(each_call="drop-after", may_raise=requests.exceptions.RequestException)
def test_it(proxmox, proxmox_target):
    t = proxmox_target
    node = proxmox.nodes(t.node)
    order = {"ostemplate": t.template, "rootfs": f"{t.storage}:1"}
    for start in (lambda: node.lxc.post(vmid=700, **order), node.lxc(700).delete):
        upid = start()
        while node.tasks(upid).status.get()["status"] == "running":
            continue
"""


def test_careful_test_passes_with_every_fault(project: Project, how: tuple[str, ...]) -> None:
    project.write("test_it.py", CAREFUL)
    result = project.run(*how, "-rP")
    result.assert_outcomes(passed=2)
    # two calls: three faults at each of them, and a lock at the one that writes
    result.stdout.fnmatch_lines(["*7 faults, none broke the test or leaked*"])


def test_careless_test_fails_and_says_at_which_call(project: Project) -> None:
    project.write("test_it.py", CARELESS)
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "3 of 3 faults broke the test or leaked:",
            "drop-before at PUT /nodes/pve/lxc/*/config (call 1): BROKE: *ConnectionError*",
            "drop-before at GET /nodes/pve/lxc/*/config (call 2): BROKE: *ConnectionError*",
            "lock at PUT /nodes/pve/lxc/*/config (call 1): BROKE: *got timeout*",
        ]
    )


def test_leak_is_told_even_where_the_exception_is_allowed(project: Project) -> None:
    project.write("test_it.py", LEAKING)
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["drop-after at POST /nodes/pve/lxc (call 1): LEAKED: *lxc/700 on pve is left of this *"]
    )
    assert "BROKE" not in result.stdout.str()


def test_warnings_are_put_on_each_task(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.proxmox_faults(each_call=['warnings'])\n"
        "def test_it(lxc): lxc.stop().start()\n",
    )
    result = project.run("-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*2 faults, none broke the test or leaked*"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("assert 0", "*assert 0*"),
        ("pass", "*makes no call to Proxmox while it runs*"),
    ],
    ids=["fails by itself", "no calls"],
)
def test_without_anything_to_sweep_the_test_fails(
    project: Project, body: str, message: str
) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def wide():\n"
        "    yield\n"
        "    print('wide is over')\n"
        "@pytest.mark.proxmox_faults(each_call='lock')\n"
        f"def test_it(wide, proxmox): {body}\n",
    )
    result = project.run("-s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    assert result.stdout.str().count("wide is over") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("each_call='nonsense'", '*does not know "nonsense"*'),
        ("each='lock'", '*does not know "each"*'),
        ("may_raise=1", "*may_raise of the mark proxmox_faults is no exception*"),
    ],
    ids=["fault", "argument", "exception"],
)
def test_mark_that_means_nothing_is_a_mistake(
    project: Project, arguments: str, message: str
) -> None:
    project.write(
        "test_it.py",
        f"import pytest\n@pytest.mark.proxmox_faults({arguments})\ndef test_it(proxmox): pass\n",
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
