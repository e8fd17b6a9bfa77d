"""Where fixtures find their Proxmox: facts, credentials, both transports, own fixtures."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project


def test_target_tells_what_there_is_and_no_secret(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_it(proxmox_target, proxmox_simulator, proxmox_config):\n"
        "    t = proxmox_target\n"
        "    assert (t.kind, t.node, t.storage) == ('simulator', 'pve', 'local-lvm')\n"
        "    assert (t.backup_storage, t.bridge) == ('local', 'vmbr0')\n"
        "    assert t.template.startswith('local:vztmpl/')\n"
        "    assert t.version.startswith('9.') and t.url == proxmox_simulator.url\n"
        "    assert proxmox_config['password'] not in repr(t)\n",
    )
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("transport", ["https", "in-process"])
def test_config_works_for_any_client_of_proxmoxer(project: Project, transport: str) -> None:
    project.write(
        "test_it.py",
        "from proxmoxer import ProxmoxAPI\n"
        "def test_it(proxmox_config):\n"
        "    assert ProxmoxAPI(**proxmox_config).version.get()['version']\n",
    )
    project.run("--proxmox-transport", transport).assert_outcomes(passed=1)


def test_in_process_transport_opens_no_socket(project: Project) -> None:
    project.write(
        "test_it.py",
        "import socket\n"
        "import pytest\n"
        "@pytest.fixture(autouse=True, scope='session')\n"
        "def no_sockets():\n"
        "    with pytest.MonkeyPatch.context() as patch:\n"
        "        patch.setattr(socket, 'socket', None)\n"
        "        yield\n"
        "def test_it(lxc, proxmox):\n"
        "    assert proxmox.nodes('pve').lxc(lxc.vmid).config.get()['hostname'] == lxc.name\n",
    )
    project.run("--proxmox-transport", "in-process").assert_outcomes(passed=1)


def test_world_and_clock_are_the_settings(project: Project) -> None:
    project.write(
        "test_it.py",
        "def test_it(proxmox, proxmox_simulator):\n"
        "    assert len(proxmox.nodes.get()) == 3\n"
        "    assert proxmox_simulator.clock.mode == 'manual'\n",
    )
    project.run("--proxmox-world", "cluster", "--proxmox-clock", "manual").assert_outcomes(passed=1)


@pytest.mark.parametrize("clock", ["on-poll", "instant", "manual"])
def test_guests_can_be_made_by_every_clock(project: Project, clock: str) -> None:
    project.write("test_it.py", "def test_it(lxc): assert lxc.status() == 'running'\n")
    project.run("--proxmox-clock", clock).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "scope", "user"),
    [
        ("proxmox_target", "session", "register_container"),
        ("proxmox_config", "module", "proxmox_config"),
        ("proxmox", "function", "proxmox"),
        ("vmid", "function", "vmid"),
        ("lxc", "function", "lxc"),
        ("register_container", "function", "register_container"),
    ],
)
def test_projects_own_fixture_wins(project: Project, name: str, scope: str, user: str) -> None:
    project.write(
        "conftest.py",
        f"import pytest\n@pytest.fixture(scope='{scope}')\ndef {name}(): return 'own'\n",
    )
    project.write("test_it.py", f"def test_it({name}): assert {name} == 'own'\n")
    project.run().assert_outcomes(passed=1)


def test_fixtures_are_listed_with_what_they_give(project: Project) -> None:
    text = project.run("--fixtures").stdout.str()
    for name, scope in [
        ("proxmox_target", " [session scope]"),
        ("proxmox_config", " [session scope]"),
        ("proxmox_simulator", " [session scope]"),
        ("proxmox_faults", ""),
        ("proxmox", ""),
        ("proxmox_sandbox", ""),
        ("proxmox_sandbox_module", " [module scope]"),
        ("proxmox_sandbox_session", " [session scope]"),
        ("vmid_range", " [session scope]"),
        ("vmid", ""),
        ("lxc", ""),
        ("golden_lxc", " [session scope]"),
        ("warm_lxc", ""),
        ("register_container", ""),
    ]:
        assert f"\n{name}{scope} -- " in text
    assert "_proxmox_place" not in text


def test_bridge_that_nobody_named_stays_out_of_real_guests(project: Project) -> None:
    project.write("test_it.py", "def test_it(lxc): assert 'bridge=vmbr0' in lxc.config()['net0']\n")
    project.run().assert_outcomes(passed=1)
