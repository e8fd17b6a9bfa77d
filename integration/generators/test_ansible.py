"""Generated playbooks, run by Ansible with community.proxmox: the second run changes nothing.

Slow: every task is a process of its own for each host, and Ansible is installed on first use.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.serving import Served, serving
from src_app.db.models import VM, Container, Node
from src_app.db.store import Store
from src_app.iac.ansible.project import ansible
from src_app.iac.files import write
from src_app.iac.state import read_state
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.services.syncing import SyncService

pytestmark = pytest.mark.slow

RUN_TIMEOUT_S = 300
HIDDEN = ("ANSIBLE_", "PROXMOX_")  # a developer's own settings are not the tests'
MIB = 2**20
WEB = {
    "agent": "1",
    "boot": "order=scsi0;net0",
    "cipassword": "**********",
    "cores": 2,
    "cpu": "host",
    "ide0": "local-lvm:vm-101-cloudinit,media=cdrom",
    "ipconfig0": "ip=dhcp",
    "memory": "256",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
    "onboot": 1,
    "scsi0": "local-lvm:vm-101-disk-0,size=1G,ssd=1",
    "startup": "order=2,up=3",
}
DB = {
    "cores": 1,
    "features": "nesting=1",
    "memory": 128,
    "mp0": "local-lvm:vm-102-disk-1,mp=/srv,size=1G",
    "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02,ip=10.0.0.5/24,gw=10.0.0.1",
    "onboot": 1,
    "rootfs": "local-lvm:vm-102-disk-0,size=1G",
    "swap": 64,
}


@dataclass(frozen=True)
class Project:
    """A generated project, and Ansible's programs pointed at the embedded Proxmox."""

    folder: Path
    programs: Path
    served: Served

    def run(self, *arguments: str) -> str:
        """Return what ``ansible-playbook`` printed."""
        host, _, port = self.served.address.partition(":")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)}
        login = {
            "ANSIBLE_HOME": str(self.folder / ".ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": str(self.programs / "python"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "PROXMOX_HOST": host,
            "PROXMOX_PASSWORD": self.served.ready["password"],
            "PROXMOX_PORT": port,
            "PROXMOX_USER": self.served.ready["user"],
            "PROXMOX_VALIDATE_CERTS": "true",
            "REQUESTS_CA_BUNDLE": self.served.ready["ca_file"],
        }
        done = subprocess.run(
            [str(self.programs / "ansible-playbook"), *arguments],
            env=kept | login,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def site(self) -> dict[str, list[str]]:
        """Run the site's playbook; return the hosts that each task changed."""
        template = self.served.ready["template"]
        given = json.dumps({"container_templates": {"debian": template}})
        text = self.run("playbooks/site.yml", "-e", given)
        tasks = [task for play in json.loads(text)["plays"] for task in play["tasks"]]
        return {
            task["task"]["name"]: sorted(
                host for host, result in task["hosts"].items() if result["changed"]
            )
            for task in tasks
        }


def rows() -> list[Any]:
    """Return a running VM, a stopped container, and a VM that is a template."""
    shared: dict[str, Any] = {"node_id": "pve", "memory_bytes": 128 * MIB}
    golden = {"scsi0": "local-lvm:base-103-disk-0,size=1G"}
    return [
        VM(id=101, name="web", status="running", tags=["prod", "web"], config=WEB, **shared),
        Container(id=102, hostname="db", ostype="debian", tags=["prod"], config=DB, **shared),
        VM(id=103, name="golden", is_template=True, config=golden, **shared),
    ]


@pytest.fixture(scope="module")
def project(ansible_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project made from a database, and an empty embedded Proxmox as a process of its own."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('database')}/state.db")
    store.migrate()
    store.run(lambda db: db.session.add(Node(id="pve", ip="10.0.0.1")))
    store.run(lambda db: db.session.add_all(rows()))
    folder = tmp_path_factory.mktemp("ansible")
    write(folder, ansible(store.read(read_state)))
    store.close()
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield Project(folder, ansible_python.parent, served)


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, list[str]]:
    """What the first run changed."""
    return project.site()


@pytest.fixture(scope="module")
def second(project: Project, first: dict[str, list[str]]) -> dict[str, list[str]]:
    """What the second run changed."""
    return project.site()


@pytest.fixture(scope="module")
def third(
    project: Project, second: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """What a run changed whose playbooks were made of a sync with that cluster."""
    ready = project.served.ready
    told = ConnectArguments(
        project.served.address, ready["user"], ready["password"], verify_ssl=ready["ca_file"]
    )
    connection = Connection(resolve(told, {}))
    connection.open()
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('synced')}/state.db")
    store.migrate()
    SyncService(store, connection).sync_all()
    write(project.folder, ansible(store.read(read_state)))
    store.close()
    return project.site()


@pytest.mark.parametrize("name", ["site.yml", "maintenance.yml"])
def test_playbooks_pass_the_syntax_check(project: Project, name: str) -> None:
    printed = project.run("--syntax-check", f"playbooks/{name}")
    assert printed.strip() == f"playbook: playbooks/{name}"


def test_the_first_run_makes_what_the_database_has(first: dict[str, list[str]]) -> None:
    assert first == {
        "The virtual machine is there": ["golden-103", "web-101"],
        "The virtual machine is a template": ["golden-103"],
        "The virtual machine runs or not": ["web-101"],
        "The container is there": ["db-102"],
        "The container is a template": [],
        "The container runs or not": [],
    }


def test_the_second_run_changes_nothing(second: dict[str, list[str]]) -> None:
    assert {task: hosts for task, hosts in second.items() if hosts} == {}


def test_playbooks_of_the_cluster_itself_change_nothing(third: dict[str, list[str]]) -> None:
    assert {task: hosts for task, hosts in third.items() if hosts} == {}


def test_guests_are_as_the_database_has_them(
    project: Project, second: dict[str, list[str]]
) -> None:
    node = project.served.api.nodes("pve")
    guests = {row["vmid"]: row for row in project.served.api.cluster.resources.get(type="vm")}
    assert {vmid: (row["name"], row["status"]) for vmid, row in guests.items()} == {
        101: ("web", "running"),
        102: ("db", "stopped"),
        103: ("golden", "stopped"),
    }
    web, db = node.qemu(101).config.get(), node.lxc(102).config.get()
    told = ("agent", "boot", "cores", "cpu", "ipconfig0", "memory", "net0", "onboot", "startup")
    assert {key: str(web[key]) for key in told} == {key: str(WEB[key]) for key in told}
    assert web["scsi0"].startswith("local-lvm:vm-101-disk-")
    assert web["tags"] == "prod;web"
    kept = ("cores", "features", "memory", "onboot", "swap")
    assert {key: db[key] for key in kept} == {key: DB[key] for key in kept}
    assert "mp=/srv" in db["mp0"]
    assert guests[103]["template"] == 1
