"""The client double answers from PVE's schema, and refuses what PVE would refuse."""

from __future__ import annotations

import pytest

from pytest_proxmox.errors import MockDrift
from pytest_proxmox.mocks import proxmox_double


def test_read_has_the_declared_shape() -> None:
    status = proxmox_double().nodes("pve").lxc(100).status.current.get()

    assert {"status", "vmid"} <= status.keys()


def test_write_that_starts_a_task_gives_a_upid() -> None:
    assert proxmox_double().nodes("pve").lxc(100).status.start.post().startswith("UPID:pve:")


def test_stubbed_answer_is_given() -> None:
    double = proxmox_double()
    double.stub("GET", "/nodes/{node}/lxc", [{"vmid": 100, "status": "running"}])

    assert double.nodes("pve").lxc.get() == [{"vmid": 100, "status": "running"}]


@pytest.mark.parametrize(
    ("template", "answer"),
    [
        ("/nodes/{node}/containers", []),
        ("/nodes/{node}/lxc", {"data": []}),
        ("/nodes/{node}/lxc", [{"vmid": 100}]),
        ("/nodes/{node}/lxc", [{"vmid": "one hundred", "status": "running"}]),
    ],
    ids=["no such path", "not a list", "a key is missing", "a value of another type"],
)
def test_stub_that_pve_would_not_answer_is_refused(template: str, answer: object) -> None:
    with pytest.raises(MockDrift):
        proxmox_double().stub("GET", template, answer)


def test_parameter_that_pve_does_not_know_is_refused() -> None:
    with pytest.raises(MockDrift, match="hostnam: property is not defined"):
        proxmox_double().nodes("pve").lxc(100).config.put(hostnam="web")


def test_missing_parameter_is_refused() -> None:
    with pytest.raises(MockDrift, match="ostemplate: property is missing"):
        proxmox_double().nodes("pve").lxc.post(vmid=100)


def test_path_that_pve_does_not_have_is_refused() -> None:
    with pytest.raises(MockDrift, match="no GET /nodes/pve/vhosts"):
        proxmox_double().nodes("pve").vhosts.get()


def test_calls_are_recorded() -> None:
    double = proxmox_double()
    double.nodes("pve").lxc(100).config.put(hostname="web")

    (call,) = double.calls
    assert (call.verb, call.path, call.parameters) == (
        "PUT",
        "/nodes/pve/lxc/100/config",
        {"hostname": "web"},
    )
