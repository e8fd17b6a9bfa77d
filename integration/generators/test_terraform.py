"""The embedded Proxmox, synced and written down as Terraform: whole, and as Terraform likes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.db.store import Store
from src_app.iac.files import Written, write
from src_app.iac.judges import MIRROR, Verdict, terraform_fmt, terraform_validate
from src_app.iac.state import read_state
from src_app.iac.terraform.project import terraform
from src_app.iac.validation import parse, plain, problems
from src_app.proxmox.connection import Connection
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.services.syncing import SyncService

GUESTS: dict[int, dict[str, Any]] = {
    301: {
        "kind": "qemu",
        "status": "running",
        "config": {
            "name": "web-1",
            "cores": 2,
            "memory": 256,
            "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
            "tags": "prod;web",
        },
    },
    302: {"kind": "lxc", "config": {"hostname": "db", "memory": 128, "swap": 64}},
}


@pytest.fixture
def store(
    tmp_path: Path, proxmox_simulator: EmbeddedProxmox, proxmox_config: dict[str, Any]
) -> Iterator[Store]:
    """A database, synced with a Proxmox that has a VM and a container."""
    before = proxmox_simulator.snapshot()
    proxmox_simulator.reset()  # other tests' warm containers stay until the run ends
    for vmid, guest in GUESTS.items():
        proxmox_simulator.plant(vmid=vmid, **guest)
    wanted = ("host", "user", "password", "verify_ssl", "port")
    told = ConnectArguments(**{name: proxmox_config[name] for name in wanted})
    connection = Connection(resolve(told, {}))
    connection.open()
    store = Store(f"sqlite:///{tmp_path / 'state.db'}")
    store.migrate()
    SyncService(store, connection).sync_all()
    yield store
    store.close()
    proxmox_simulator.restore(before)


@pytest.fixture
def code(store: Store, proxmox_simulator: EmbeddedProxmox) -> dict[str, str]:
    """The project that is made of the database."""
    return terraform(store.read(read_state), endpoint=proxmox_simulator.url)


def test_it_has_what_the_cluster_has(code: dict[str, str]) -> None:
    rows = {
        plain(row["node_name"]) + f"/{row['vm_id']}": row
        for _, _, row in parse(code).resources
        if "vm_id" in row
    }
    web, db = rows["pve/301"], rows["pve/302"]
    assert (plain(web["name"]), web["started"], web["cpu"][0]["cores"]) == ("web-1", True, 2)
    assert [plain(tag) for tag in web["tags"]] == ["prod", "web"]
    assert plain(web["network_device"][0]["mac_address"]) == "BC:24:11:00:00:01"
    assert (plain(db["initialization"][0]["hostname"]), db["started"]) == ("db", False)
    assert db["memory"][0]["swap"] == 64


def test_it_imports_what_is_there_and_nothing_else(code: dict[str, str]) -> None:
    assert [name for _, name in parse(code).imports] == ["pve/301", "pve/302", "local", "local-lvm"]


def test_terraform_finds_it_formatted(code: dict[str, str], tmp_path: Path) -> None:
    assert problems(code) == []
    folder = tmp_path / "terraform"
    assert write(folder, code) == Written(changed=tuple(sorted(code)))
    verdict = terraform_fmt(folder)
    if verdict.skipped:
        pytest.skip(verdict.skipped)
    assert verdict == Verdict("terraform fmt")
    (folder / "vms.tf").write_text((folder / "vms.tf").read_text().replace("  vm_id", "   vm_id"))
    assert [problem.what for problem in terraform_fmt(folder).problems] == ["vms.tf"]


def test_terraform_finds_it_valid(code: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "terraform", code)
    verdict = terraform_validate(tmp_path / "terraform", os.environ)
    if verdict.skipped:
        pytest.skip(verdict.skipped)
    assert MIRROR in os.environ
    assert verdict == Verdict("terraform validate")
