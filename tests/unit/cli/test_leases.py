"""``leases`` and ``sweep``: what this machine holds, and what others hold on the Proxmox."""

from __future__ import annotations

import json
import time

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.sandbox.pools import Tenant, lease_pool
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.target.endpoint import Endpoint
from pytest_proxmox.target.session import connect
from pytest_proxmox.values import LeaseId, VmidRange

SPAN = VmidRange.parse("9000-9009")


@pytest.fixture
def elsewhere(server: Server) -> str:
    """The lease of a run on another machine, long expired, with a guest in its pool."""
    login = server.simulator.credentials
    api = connect(
        Endpoint("127.0.0.1", server.port, login.user, login.password, ca_file=server.ca_file)
    )
    lease = LeaseId.new()
    pool = lease_pool("pytest", SPAN, lease)
    comment = Tenant("run-1", "far-away", lease, int(time.time()) - 3600).render()
    api("pools").post(poolid="pytest")
    api("pools").post(poolid=pool.rpartition("/")[0], comment=comment)
    api("pools").post(poolid=pool, comment=comment)
    server.simulator.plant(vmid=9003, type="lxc", node="pve", config={})
    api("pools").put(poolid=pool, vms=9003)
    return pool


def test_leases_of_other_machines_are_listed_with_their_guests(
    elsewhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leases", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["proxmox"]
    assert row["pool"] == elsewhere
    assert (row["vmids"], row["host"], row["guests"]) == (
        "9000-9009",
        "far-away",
        ["lxc/9003 on pve"],
    )
    assert main(["leases"]) == 0
    assert "9000-9009  run-1  far-away  expired  lxc/9003 on pve" in capsys.readouterr().out


def test_only_all_expired_collects_what_other_machines_left(
    elsewhere: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep"]) == 0
    assert server.simulator.guest(9003) is not None
    assert main(["sweep", "--all-expired", "--dry-run"]) == 0
    assert "Would remove the block 9000-9009 of run run-1" in capsys.readouterr().out
    assert server.simulator.guest(9003) is not None
    assert main(["sweep", "--all-expired"]) == 0
    assert server.simulator.guest(9003) is None
    assert elsewhere not in set(server.simulator.state.pools)


def test_doctor_names_expired_leases(elsewhere: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["leases"]["state"] == "warn"
    assert rows["leases"]["remedy"] == "pytest-proxmox sweep --all-expired"


def test_local_asks_no_proxmox(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(server.simulator.calls)
    assert main(["leases", "--local"]) == 0
    assert capsys.readouterr().out == "No leases of this machine.\n"
    assert len(server.simulator.calls) == before
