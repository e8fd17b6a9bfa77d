"""Between two tests the simulator is put back; what nobody leased fails the test it is of."""

from __future__ import annotations

from tests.plugin.conftest import Project

AT_ONCE = ("--proxmox-clock", "instant")

MAKE = (
    "    proxmox.nodes('pve').lxc.post(vmid=9700, ostemplate=proxmox_target.template,\n"
    "        rootfs='local-lvm:1')\n"
    "    assert proxmox_simulator.guest(9700)\n"
)


def test_stray_guest_fails_its_own_test_and_is_gone_for_the_next(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write(
        "test_it.py",
        "def test_strays(proxmox, proxmox_target, proxmox_simulator):\n"
        + MAKE
        + "def test_next(proxmox_simulator):\n    assert proxmox_simulator.guests() == []\n",
    )
    result = project.run(*how)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_strays*",
            "lxc/9700 on pve is left of this test, and nobody leased its VMID.*"
            'register_container(9700, "pve").',
        ]
    )
    result.stdout.no_fnmatch_line("*boundary.py*")


def test_change_to_the_world_is_taken_back(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def planted(proxmox_simulator):\n"
        "    proxmox_simulator.plant(vmid=101, type='lxc', node='pve', config={})\n"
        "def test_destroys(planted, proxmox, proxmox_simulator):\n"
        "    proxmox.nodes('pve').lxc(101).delete()\n"
        "    proxmox.pools.post(poolid='mine')\n"
        "    assert proxmox_simulator.guest(101) is None\n"
        "def test_finds(planted, proxmox, proxmox_simulator):\n"
        "    assert proxmox_simulator.guest(101)\n"
        "    assert proxmox.pools.get() == []\n",
    )
    project.run(*AT_ONCE).assert_outcomes(passed=2)


def test_guest_that_a_test_plants_is_no_stray_and_goes_with_it(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_plants(proxmox_simulator):\n"
        "    proxmox_simulator.plant(vmid=101, type='qemu', status='running')\n"
        "def test_next(proxmox_simulator):\n    assert proxmox_simulator.guests() == []\n"
        "def test_strays(proxmox, proxmox_target, proxmox_simulator):\n" + MAKE,
    )
    project.run(*AT_ONCE).assert_outcomes(passed=3, errors=1)


def test_calls_are_those_of_the_test(project: Project) -> None:
    project.write(
        "test_it.py",
        "def paths(simulator):\n"
        "    return [call.path for call in simulator.calls]\n"
        "def test_one(proxmox, proxmox_simulator):\n"
        "    proxmox.pools.get()\n"
        "    assert paths(proxmox_simulator)[-1] == '/pools'\n"
        "def test_two(proxmox, proxmox_simulator):\n"
        "    seen = proxmox_simulator.calls.total\n"
        "    assert seen > 0\n"
        "    proxmox.nodes.get()\n"
        "    assert '/pools' not in paths(proxmox_simulator)\n"
        "    assert [c.path for c in proxmox_simulator.calls.since(seen)][-1] == '/nodes'\n",
    )
    project.run(*AT_ONCE).assert_outcomes(passed=2)


def test_time_is_taken_back_and_logins_go_on(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def client(proxmox_config):\n"
        "    from proxmoxer import ProxmoxAPI\n"
        "    return ProxmoxAPI(**proxmox_config)\n"
        "@pytest.mark.parametrize('n', range(3))\n"
        "def test_it(n, client, lxc, proxmox_simulator):\n"
        "    proxmox_simulator.clock.advance(3600)\n"
        "    assert client.nodes('pve').lxc(lxc.vmid).config.get()\n",
    )
    project.run().assert_outcomes(passed=3)


def test_simulator_that_starts_inside_a_test_is_put_back_too(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_late(request):\n"
        "    config = request.getfixturevalue('proxmox_config')\n"
        "    from proxmoxer import ProxmoxAPI\n"
        "    ProxmoxAPI(**config).nodes('pve').lxc.post(vmid=9700, rootfs='local-lvm:1',\n"
        "        ostemplate=request.getfixturevalue('proxmox_target').template)\n"
        "def test_next(proxmox_simulator):\n"
        "    assert proxmox_simulator.guests() == []\n",
    )
    project.run(*AT_ONCE).assert_outcomes(passed=2, errors=1)


def test_guest_made_before_the_test_by_a_wider_fixture_is_no_stray(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='module')\n"
        "def mine(proxmox_config, proxmox_target):\n"
        "    from proxmoxer import ProxmoxAPI\n"
        "    api = ProxmoxAPI(**proxmox_config)\n"
        "    api.nodes('pve').lxc.post(vmid=9700, ostemplate=proxmox_target.template,\n"
        "        rootfs='local-lvm:1')\n"
        "    yield 9700\n"
        "    api.nodes('pve').lxc(9700).delete()\n"
        "def test_one(mine, proxmox_simulator): assert proxmox_simulator.guest(mine)\n"
        "def test_two(mine, proxmox_simulator): assert proxmox_simulator.guest(mine)\n",
    )
    project.run(*AT_ONCE).assert_outcomes(passed=2)


def test_test_is_put_back_also_when_it_fails(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_fails(lxc): assert False\n"
        "def test_next(proxmox_simulator): assert proxmox_simulator.guests() == []\n",
    )
    project.run().assert_outcomes(passed=1, failed=1)


def test_faults_end_before_the_test_is_cleaned_up(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "from proxmoxer import ResourceException\n"
        "def test_fails(proxmox_faults, lxc, proxmox):\n"
        "    proxmox_faults.fail('GET', '/version', error='no-quorum')\n"
        "    proxmox_faults.fail('DELETE', '**', error='forbidden')\n"
        "    with pytest.raises(ResourceException, match='no quorum'):\n"
        "        proxmox.version.get()\n"
        "def test_next(proxmox, proxmox_simulator):\n"
        "    assert proxmox.version.get()\n"
        "    assert proxmox_simulator.faults.rules() == []\n",
    )
    project.run().assert_outcomes(passed=2)


def test_faults_of_a_wider_fixture_stay(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='module', autouse=True)\n"
        "def slow(proxmox_simulator):\n"
        "    proxmox_simulator.faults.slow_task('vzstart', 60)\n"
        "@pytest.mark.parametrize('n', range(2))\n"
        "def test_it(n, proxmox_faults):\n"
        "    proxmox_faults.drop('GET')\n"
        "    assert [rule.effect for rule in proxmox_faults.rules()] == ['slow-task', 'drop']\n",
    )
    project.run().assert_outcomes(passed=2)


LOCKED = """
from dataclasses import replace

def test_locks(lxc, proxmox_simulator):
    sim = proxmox_simulator._simulator
    guest = sim.guest(lxc.vmid)
    sim.put_guest(replace(guest, config={**guest.config, "lock": "backup"}))

def test_other(): pass
"""


def test_guest_that_cannot_be_removed_fails_its_test_and_the_run(
    project: Project, how: tuple[str, ...]
) -> None:
    project.write("test_it.py", LOCKED)
    result = project.run(*how)
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_locks*",
            "1 left on the Proxmox after clean-up:",
            "*9000 on pve*lock*pct unlock 9000*",
            "*left on Proxmox*",
            "*9000 on pve*lock*pct unlock 9000*",
        ]
    )


def test_faults_end_with_the_test_that_left_its_fixture_something_to_clean(
    project: Project,
) -> None:
    project.write(
        "test_it.py",
        """\
import threading

import pytest


@pytest.fixture
def helper():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


def test_with_a_fault(helper, proxmox_faults):
    proxmox_faults.add(effect="error", error="no-route", path="/nodes")


def test_after_it(proxmox, proxmox_faults):
    assert not proxmox_faults.rules()
    assert proxmox.nodes.get()
""",
    )
    project.run().assert_outcomes(passed=2)
