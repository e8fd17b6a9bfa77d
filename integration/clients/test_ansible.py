"""Ansible's community.proxmox against ``pytest-proxmox serve``: states, actions, info, inventory.

Slow: every task of a playbook is a process of its own, and Ansible is installed on first use.
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

pytestmark = pytest.mark.slow

PLAYBOOKS = Path(__file__).with_name("playbooks")
RUN_TIMEOUT_S = 300
HIDDEN = ("ANSIBLE_", "PROXMOX_")  # a developer's own settings are not the tests'


@dataclass(frozen=True)
class Ran:
    """How a playbook ended: each task's result by the task's name."""

    results: dict[str, dict[str, Any]]

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something, in their order."""
        return [name for name, result in self.results.items() if result["changed"]]

    def __getitem__(self, task: str) -> dict[str, Any]:
        return self.results[task]


class Ansible:
    """Runs Ansible's programs against one server."""

    def __init__(self, python: Path, served: Served, folder: Path) -> None:
        self._bin = python.parent
        self._served = served
        self._folder = folder

    def environment(self, login: dict[str, str]) -> dict[str, str]:
        host, _, port = self._served.address.partition(":")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)}
        return kept | {
            "ANSIBLE_HOME": str(self._folder / "home"),
            "ANSIBLE_INVENTORY_ENABLED": "host_list,community.proxmox.proxmox",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_PYTHON_INTERPRETER": str(self._bin / "python"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "PROXMOX_HOST": host,
            "PROXMOX_PORT": port,
            "PROXMOX_URL": self._served.ready["url"],
            "PROXMOX_USER": self._served.ready["user"],
            "PROXMOX_VALIDATE_CERTS": "true",
            "REQUESTS_CA_BUNDLE": self._served.ready["ca_file"],
            **login,
        }

    @property
    def password(self) -> dict[str, str]:
        return {"PROXMOX_PASSWORD": self._served.ready["password"]}

    @property
    def token(self) -> dict[str, str]:
        name = self._served.ready["token_id"].partition("!")[2]
        secret = self._served.ready["token_secret"]
        return {"PROXMOX_TOKEN_ID": name, "PROXMOX_TOKEN_SECRET": secret}

    def play(self, name: str, login: dict[str, str], **variables: str) -> Ran:
        """Run a playbook and return what its tasks did."""
        facts = {key: self._served.ready[key] for key in ("node", "storage", "template")}
        given = ["-e", json.dumps(facts | variables)]
        text = self._run("ansible-playbook", "-i", "localhost,", PLAYBOOKS / name, *given, **login)
        (play,) = json.loads(text)["plays"]
        return Ran({t["task"]["name"]: t["hosts"]["localhost"] for t in play["tasks"]})

    def inventory(self) -> dict[str, Any]:
        """Return what the inventory plugin finds."""
        source = self._folder / "lab.proxmox.yml"
        options = {"plugin": "community.proxmox.proxmox", "want_facts": True}
        source.write_text(json.dumps(options), encoding="utf-8")  # JSON is YAML too
        text = self._run("ansible-inventory", "-i", source, "--list", **self.password)
        found: dict[str, Any] = json.loads(text)
        return found

    def _run(self, program: str, *arguments: str | Path, **login: str) -> str:
        done = subprocess.run(
            [str(part) for part in (self._bin / program, *arguments)],
            env=self.environment(login),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def served(ansible_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One embedded Proxmox for all playbooks, as a process of its own."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def ansible(
    ansible_python: Path, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Ansible:
    """Ansible's programs, pointed at the embedded Proxmox."""
    return Ansible(ansible_python, served, tmp_path_factory.mktemp("ansible"))


@pytest.fixture(scope="module")
def first(ansible: Ansible) -> Ran:
    """The first run of the playbook that describes a state."""
    return ansible.play("state.yml", ansible.password)


@pytest.fixture(scope="module")
def second(ansible: Ansible, first: Ran) -> Ran:
    """The second run, with a token this time."""
    return ansible.play("state.yml", ansible.token)


@pytest.fixture(scope="module")
def made(served: Served, second: Ran) -> dict[str, Any]:
    """What Proxmox has in that state, asked for before the actions change it."""
    return {
        "guests": served.api.cluster.resources.get(type="vm"),
        "members": served.api.pools.get(poolid="ci")[0]["members"],
        "config": served.api.nodes("pve").qemu(120).config.get(),
    }


@pytest.fixture(scope="module")
def inventory(ansible: Ansible, made: dict[str, Any]) -> dict[str, Any]:
    """What the inventory plugin finds in that state."""
    return ansible.inventory()


@pytest.fixture(scope="module")
def actions(
    ansible: Ansible, inventory: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The run of the playbook that does things, after everything else."""
    file = tmp_path_factory.mktemp("files") / "mini_1_amd64.tar.gz"
    file.write_bytes(b"a template")
    return ansible.play("actions.yml", ansible.token, file=str(file))


def test_the_first_run_makes_what_is_described(first: Ran) -> None:
    assert first.changed == list(first.results)


def test_the_second_run_changes_nothing(second: Ran) -> None:
    assert second.changed == []


def test_what_it_made_is_there(made: dict[str, Any]) -> None:
    guests = {row["vmid"]: row for row in made["guests"]}
    assert {vmid: (row["name"], row["status"]) for vmid, row in guests.items()} == {
        110: ("web", "running"),
        120: ("db", "running"),
        121: ("golden", "stopped"),
    }
    assert {row["id"] for row in made["members"]} == {"lxc/110", "storage/pve/local-lvm"}
    assert made["config"]["scsi1"] == "local-lvm:vm-120-disk-1,size=1G"
    assert made["config"]["net1"].startswith("virtio=BC:24:11:00:00:77,")


def test_the_inventory_groups_guests_by_kind_state_and_pool(inventory: dict[str, Any]) -> None:
    def hosts(group: str) -> set[str]:
        return set(inventory[f"proxmox_{group}"]["hosts"])

    assert hosts("all_lxc") == {"web"}
    assert hosts("all_qemu") == {"db", "golden"}
    assert hosts("all_running") == {"web", "db"}
    assert hosts("pool_ci") == {"web"}
    facts = inventory["_meta"]["hostvars"]["web"]
    assert facts["proxmox_vmid"] == 110
    assert facts["proxmox_snapshots"] == [{"__ansible_unsafe": "before"}]  # no template in it


def test_the_info_modules_tell_what_is_there(actions: Ran) -> None:
    vmids = {row["vmid"] for row in actions["All guests"]["proxmox_vms"]}
    assert vmids == {110, 120, 121, 130}
    (node,) = actions["The node"]["proxmox_nodes"]
    assert (node["node"], node["status"]) == ("pve", "online")
    storages = {row["storage"] for row in actions["The storages"]["proxmox_storages"]}
    assert storages == {"local", "local-lvm"}
    (backup,) = actions["What lies on the storage"]["proxmox_storage_content"]
    assert (backup["vmid"], backup["notes"]) == (110, "web by Ansible")
    kinds = {row["type"] for row in actions["The tasks"]["proxmox_tasks"]}
    assert {"vzcreate", "vzdump", "qmclone", "vzrollback", "imgcopy"} <= kinds
    users = {row["userid"] for row in actions["The users"]["proxmox_users"]}
    assert users == {"root@pam", "ci@pve"}


def test_the_actions_had_their_effect(served: Served, actions: Ran) -> None:
    assert [row["vmid"] for row in served.api.cluster.resources.get(type="vm")] == [121, 130]
    content = {row["volid"] for row in served.api.nodes("pve").storage("local").content.get()}
    assert "local:vztmpl/mini_1_amd64.tar.gz" in content
    assert [volid for volid in content if volid.startswith("local:backup/vzdump-lxc-110-")]
