"""Guests from fixtures: there when the test begins, gone when it ends."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

TRANSPORTS = ["https", "in-process"]


@pytest.fixture(params=TRANSPORTS)
def by(request: pytest.FixtureRequest) -> str:
    """The option for each way to the simulator."""
    return f"--proxmox-transport={request.param}"


def test_lxc_is_a_running_container_and_goes_with_its_test(
    project: Project, how: tuple[str, ...], by: str
) -> None:
    project.write(
        "test_it.py",
        "def test_first(lxc, proxmox_simulator):\n"
        "    assert lxc.status() == 'running'\n"
        "    assert proxmox_simulator.vmids() == {lxc.vmid}\n"
        "def test_second(lxc, proxmox_simulator):\n"
        "    assert proxmox_simulator.vmids() == {lxc.vmid}\n"
        "def test_third(proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n",
    )
    project.run(*how, by).assert_outcomes(passed=3)


def test_guest_can_do_what_its_docs_say(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_it(lxc, proxmox_simulator):\n"
        "    assert lxc.kind == 'lxc' and lxc.node == 'pve' and lxc.name\n"
        "    assert lxc.stop().status() == 'stopped'\n"
        "    lxc.snapshot('one').rollback('one')\n"
        "    copy = lxc.clone()\n"
        "    assert copy.config()['hostname'] == copy.name\n"
        "    assert lxc.backup().storage == 'local'\n"
        "    lxc.destroy()\n"
        "    assert proxmox_simulator.vmids() == {copy.vmid}\n"
        "def test_gone(proxmox, proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n"
        "    assert proxmox.nodes('pve').storage('local').content.get(content='backup') == []\n",
    )
    project.run().assert_outcomes(passed=2)


def test_guest_made_on_a_leased_vmid_goes_with_its_test(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write(
        "test_it.py",
        "def test_it(vmid, vmid_range, proxmox, proxmox_target as t):\n".replace(" as t", "")
        + "    t = proxmox_target\n"
        "    assert 9000 <= vmid <= 9099\n"
        "    proxmox.nodes(t.node).lxc.post(\n"
        "        vmid=vmid, ostemplate=t.template, rootfs=f'{t.storage}:1')\n"
        "def test_gone(proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n",
    )
    project.run(*how, "--vmid-range", "9000-9099").assert_outcomes(passed=2)


def test_mark_leases_so_many_vmids_in_a_row(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.vmid_range(size=3)\n"
        "def test_it(vmid, proxmox_sandbox):\n"
        "    others = {proxmox_sandbox.vmid() for _ in range(10)}\n"
        "    assert others.isdisjoint(range(vmid, vmid + 3))\n",
    )
    project.run().assert_outcomes(passed=1)


def test_vmid_range_is_ten_in_a_row_that_nobody_else_gets(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write(
        "test_it.py",
        "def test_it(vmid_range, vmid, proxmox_sandbox):\n"
        "    assert len(vmid_range) == 10\n"
        "    assert vmid not in vmid_range\n",
    )
    project.run(*how).assert_outcomes(passed=1)


def test_vmid_range_is_not_wider_than_the_option(project: Project) -> None:
    project.write("test_it.py", "def test_it(vmid_range): assert str(vmid_range) == '9000-9003'\n")
    project.run("--vmid-range", "9000-9003").assert_outcomes(passed=1)


def test_exhausted_range_fails_the_test_with_one_message(project: Project) -> None:
    project.write("test_it.py", "def test_it(vmid_range, vmid): pass\ndef test_other(): pass\n")
    result = project.run("--vmid-range", "9000-9003")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["no free VMID* in 9000-9003*Widen --vmid-range*"])
    result.stdout.no_fnmatch_line("*sandbox.py:*")


@pytest.mark.parametrize("order", ["before", "after"])
def test_registered_container_goes_with_its_test(project: Project, order: str) -> None:
    make = (
        "    proxmox.nodes('pve').lxc.post(vmid=9500, ostemplate=proxmox_target.template,\n"
        "        rootfs='local-lvm:1')\n"
        "    assert proxmox_simulator.guest(9500)\n"
    )
    register = "    register_container(9500, 'pve')\n"
    steps = register + make if order == "before" else make + register
    project.write(
        "test_it.py",
        "def test_it(register_container, proxmox, proxmox_target, proxmox_simulator):\n"
        + steps
        + "def test_gone(proxmox_simulator):\n    assert proxmox_simulator.guests() == []\n",
    )
    project.run().assert_outcomes(passed=2)


def test_foreign_container_is_not_taken_over(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "from pytest_proxmox.errors import ForeignGuest\n"
        "def test_it(register_container, proxmox_simulator):\n"
        "    proxmox_simulator.plant(vmid=9001, type='lxc', node='pve', config={})\n"
        "    with pytest.raises(ForeignGuest):\n"
        "        register_container(9001)\n"
        "    assert proxmox_simulator.guest(9001)\n",
    )
    project.run().assert_outcomes(passed=1)


SCOPES = """
import pytest

@pytest.fixture(scope="module")
def shared(proxmox_sandbox_module):
    return proxmox_sandbox_module.lxc(start=1)

def test_first(shared, lxc, proxmox_simulator):
    assert proxmox_simulator.vmids() == {shared.vmid, lxc.vmid}

def test_second(shared, proxmox_simulator):
    assert shared.status() == "running"
    assert proxmox_simulator.vmids() == {shared.vmid}
"""


def test_module_sandbox_keeps_its_guests_for_the_module(project: Project) -> None:
    project.write("test_a.py", SCOPES)
    project.write(
        "test_b.py", "def test_gone(proxmox_simulator): assert not proxmox_simulator.guests()\n"
    )
    project.run().assert_outcomes(passed=3)


def test_session_sandbox_keeps_its_guests_for_the_session(project: Project) -> None:
    project.write("test_a.py", SCOPES.replace("module", "session"))
    project.write(
        "test_b.py",
        "def test_still_there(proxmox_simulator): assert len(proxmox_simulator.guests()) == 1\n",
    )
    project.run().assert_outcomes(passed=3)


def test_guest_of_a_wider_sandbox_made_inside_a_test_stays(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_makes(proxmox_sandbox_module):\n"
        "    proxmox_sandbox_module.lxc()\n"
        "def test_finds(proxmox_sandbox_module, proxmox_simulator):\n"
        "    assert len(proxmox_simulator.guests()) == 1\n"
        "def test_destroys(proxmox_sandbox_module, proxmox_simulator):\n"
        "    (guest,) = proxmox_simulator.guests()\n"
        "    proxmox_sandbox_module.adopt(guest.vmid, 'pve').destroy()\n"
        "def test_finds_none(proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n",
    )
    project.run().assert_outcomes(passed=4)


def test_warm_container_is_as_new_for_each_test(project: Project, how: tuple[str, ...]) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(3))\n"
        "def test_it(n, warm_lxc, proxmox, proxmox_simulator):\n"
        "    assert warm_lxc.status() == 'running'\n"
        "    assert warm_lxc.config()['hostname'] == warm_lxc.name\n"
        "    proxmox.nodes('pve').lxc(warm_lxc.vmid).config.put(hostname='changed')\n"
        "    warm_lxc.snapshot('mine')\n",
    )
    project.run(*how).assert_outcomes(passed=3)


def test_failed_create_fails_the_test_with_the_tasks_words(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_it(proxmox_sandbox):\n    proxmox_sandbox.lxc(ostemplate='local:vztmpl/no')\n",
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   *local:vztmpl/no*"])
