"""Each fact of the narrative recording 13: what a node does without quorum."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.simulator import Simulator

from .client import Client

LXC = "/nodes/pve/lxc"
NOT_READY = "cluster not ready - no quorum?"
TEMPLATE = "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz"


@pytest.fixture
def alone(pve: Client, sim: Simulator) -> Client:
    """Root on a node that lost the others; 100 is stopped, 101 runs."""
    sim.plant(vmid=100)
    sim.plant(vmid=101, status="running")
    sim.faults.add(effect="no-quorum")
    return pve


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/nodes",
        "/cluster/status",
        "/cluster/resources",
        "/cluster/nextid",
        "/pools",
        "/storage",
        LXC,
        f"{LXC}/100/config",
        f"{LXC}/101/status/current",
        "/nodes/pve/tasks",
        "/cluster/tasks",
        "/cluster/ha/status/current",
    ],
)
def test_reads_work(alone: Client, path: str) -> None:
    assert alone.get(path).status == 200


def test_guests_have_no_known_status(alone: Client) -> None:
    guests = alone.get("/cluster/resources", type="vm").data
    assert {row["status"] for row in guests} == {"unknown"}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (f"{LXC}/100/status/start", {}),
        (LXC, {"vmid": 102, "ostemplate": TEMPLATE, "rootfs": "local-lvm:1"}),
        (f"{LXC}/100/clone", {"newid": 103}),
        ("/nodes/pve/qemu", {"vmid": 104}),
        (f"{LXC}/100/migrate", {"target": "pve2"}),
    ],
    ids=["start", "create", "clone", "create a VM", "migrate"],
)
def test_what_needs_a_new_configuration_is_refused(
    alone: Client, path: str, params: dict[str, Any]
) -> None:
    assert alone.post(path, **params).refusal == (500, NOT_READY)


def test_a_running_container_can_be_stopped(alone: Client) -> None:
    assert alone.finish(alone.post(f"{LXC}/101/status/stop")) == "OK"
    assert alone.get(f"{LXC}/101/status/current").data["status"] == "stopped"


def test_a_change_of_a_configuration_cannot_be_written(alone: Client) -> None:
    said = alone.put(f"{LXC}/100/config", memory=99)
    assert said.status == 500
    assert said.reason.startswith("unable to open file '/etc/pve/nodes/pve/lxc/100.conf.tmp.")


def test_a_delete_takes_the_disk_and_fails_with_the_configuration_still_there(
    alone: Client,
) -> None:
    status = alone.finish(alone.delete(f"{LXC}/100"))
    assert status.startswith("unable to open file '/etc/pve/nodes/pve/lxc/100.conf.tmp")
    assert alone.get(f"{LXC}/100/config").status == 200
    assert alone.get("/nodes/pve/storage/local-lvm/content", vmid=100).data == []


def test_a_backup_ends_in_job_errors(alone: Client) -> None:
    assert alone.finish(alone.post("/nodes/pve/vzdump", vmid=100)) == "job errors"


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("post", "/pools", {"poolid": "nq"}, "create pool failed: cfs-lock 'file-user_cfg'"),
        (
            "post",
            "/storage",
            {"storage": "nq", "type": "dir", "path": "/tmp/nq"},
            "create storage failed: cfs-lock 'file-storage_cfg'",
        ),
        (
            "post",
            "/access/users/root@pam/token/nq",
            {"privsep": 0},
            "generating token failed: cfs-lock 'file-user_cfg'",
        ),
        (
            "put",
            "/access/acl",
            {"path": "/vms", "users": "root@pam", "roles": "PVEVMUser"},
            "ACL update failed: cfs-lock 'file-user_cfg'",
        ),
    ],
    ids=["pool", "storage", "token", "acl"],
)
def test_files_of_the_whole_cluster_cannot_be_locked(
    alone: Client, verb: str, path: str, params: dict[str, Any], text: str
) -> None:
    said = getattr(alone, verb)(path, **params)
    assert said.refusal == (500, f"{text} error: no quorum!")


def test_a_volume_can_be_removed(alone: Client) -> None:
    path = "/nodes/pve/storage/local/content/local:vztmpl/nope.tar.gz"
    assert alone.finish(alone.delete(path)) == "OK"
