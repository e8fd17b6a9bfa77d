"""prometheus-pve-exporter scrapes an embedded Proxmox: its metrics are that world's facts."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pytest_proxmox.simulator.server import Server
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World

START_TIMEOUT_S = 30
METRIC = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
Metrics = dict[tuple[str, str], float]
Scrape = Callable[..., Metrics]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def parse(text: str) -> Metrics:
    """Return each value by its name and its ``id`` label, empty where it has none."""
    found: Metrics = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else METRIC.fullmatch(line)
        if match is not None:
            ident = re.search(r'\bid="([^"]*)"', match["labels"] or "")
            found[match["name"], ident[1] if ident else ""] = float(match["value"])
    return found


@contextmanager
def exporting(python: Path, folder: Path, server: Server) -> Iterator[str]:
    """Yield the address of an exporter that logs in with the world's token."""
    login = server.simulator.credentials
    module = {
        "user": login.user,
        "token_name": login.token_id.partition("!")[2],
        "token_value": login.token_secret,
        "verify_ssl": str(server.ca_file),
    }
    config = folder / "pve.yml"
    config.write_text(json.dumps({"default": module}), encoding="utf-8")  # JSON is YAML too
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            *(python.with_name("pve_exporter"), "--config.file", config),
            *("--web.listen-address", address),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(f"http://{address}/", process)
        yield address
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once it answers; waiting for the process shows at once that it died."""
    for _ in range(START_TIMEOUT_S * 10):
        with suppress(urllib.error.URLError):  # not yet: waited for below
            urllib.request.urlopen(url, timeout=5).close()
            return
        try:
            status = process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"the exporter ended with {status} before it answered")
    raise TimeoutError(f"the exporter did not answer within {START_TIMEOUT_S} s")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Three nodes, the third cut off; a container that runs and a VM that does not."""
    sim = Simulator(World.preset("cluster"))
    sim.plant(vmid=100, name="web", node="pve1", status="running", config={"onboot": 1})
    sim.plant(vmid=101, name="db", node="pve1", type="qemu", config={"onboot": 0})
    sim.faults.add(effect="node-offline", node="pve3")
    with Server(sim) as running:
        yield running
    assert not sim.crashes


@pytest.fixture(scope="module")
def scrape(
    exporter_python: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scrape]:
    """Ask the exporter for what it finds, with its own parameters."""
    folder = tmp_path_factory.mktemp("exporter")
    with exporting(exporter_python, folder, server) as address:

        def ask(**params: str) -> Metrics:
            query = "".join(f"&{key}={value}" for key, value in params.items())
            url = f"http://{address}/pve?target=127.0.0.1:{server.port}{query}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                return parse(answer.read().decode())

        yield ask


def test_nodes_and_guests_are_up_or_not(scrape: Scrape) -> None:
    found = scrape()
    kinds = ("node/", "lxc/", "qemu/")
    up = {ident: value for (name, ident), value in found.items() if name == "pve_up"}
    assert {ident: value for ident, value in up.items() if ident.startswith(kinds)} == {
        "node/pve1": 1,
        "node/pve2": 1,
        "node/pve3": 0,
        "lxc/100": 1,
        "qemu/101": 0,
    }


def test_storages_have_a_size_on_each_node(scrape: Scrape) -> None:
    found = scrape()
    for node in ("pve1", "pve2"):
        assert found["pve_disk_size_bytes", f"storage/{node}/local"] == 100 * 1024**3
        assert found["pve_disk_size_bytes", f"storage/{node}/shared"] == 2000 * 1024**3
    assert found["pve_storage_shared", "storage/pve1/shared"] == 1
    assert found["pve_storage_shared", "storage/pve1/local"] == 0


def test_guests_have_names_memory_and_a_flag_for_starting(scrape: Scrape) -> None:
    found = scrape()
    assert found["pve_guest_info", "lxc/100"] == 1
    assert found["pve_memory_size_bytes", "lxc/100"] == 512 * 1024**2
    assert found["pve_onboot_status", "lxc/100"] == 1
    assert found["pve_onboot_status", "qemu/101"] == 0
    assert found["pve_not_backed_up_total", "cluster/pytest"] == 2


def test_the_version_is_the_worlds(scrape: Scrape) -> None:
    assert scrape(node="0")["pve_version_info", ""] == 1


def test_a_guest_that_goes_is_gone_from_the_next_scrape(scrape: Scrape, server: Server) -> None:
    server.simulator.plant(vmid=102, node="pve1")
    server.simulator.clock.advance(30)
    assert ("pve_up", "lxc/102") in scrape()
    server.simulator.drop_guest(102)
    server.simulator.clock.advance(30)
    assert ("pve_up", "lxc/102") not in scrape()
