"""``pytest-proxmox coverage``: classes of methods, and what a run used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_proxmox.cli.main import main
from pytest_proxmox.simulator import coverage
from pytest_proxmox.simulator.coverage import Usage
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.world import World
from scripts.coverage_page import PAGE, page
from tests.contract.client import Client


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder with the record of a run that read the version and was refused a guest."""
    sim = Simulator(World.preset("single"))
    client = Client.login(sim)
    client.get("/version")
    client.get("/nodes/pve/lxc/100/config")
    Usage.of(sim.used).save(tmp_path / "used-main.json")
    return tmp_path


def test_at_least_330_of_the_661_methods_are_stateful() -> None:
    kinds = [row.kind for row in coverage.table()]
    assert len(kinds) == 661
    assert kinds.count(coverage.STATEFUL) >= 330


def test_every_proven_method_is_one_of_the_api() -> None:
    known = {(row.verb, row.path) for row in coverage.table()} | {("GET", "/")}
    assert coverage.proven() <= known


def test_no_write_is_counted_that_has_no_handler() -> None:
    counted = {
        (row.verb, row.path)
        for row in coverage.table()
        if row.kind == coverage.STATEFUL and row.verb != "GET"
    }
    assert counted <= coverage.handled()


def test_the_reference_page_says_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/coverage_page.py"


def test_families_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["family", "stateful", "checked", "unsupported", "used"]
    assert sum(int(number) for number in lines[-1].split()[1:4]) == 661


def test_a_family_is_listed_method_by_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["coverage", "pools", "--cache", str(tmp_path)]) == 0
    assert "works    POST   /pools" in capsys.readouterr().out.splitlines()


def test_what_a_run_used_is_counted(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--used", "--json", "--cache", str(used)]) == 0
    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["/version"]["used"] == 1
    assert rows["/nodes/{node}/lxc/{vmid}/config"]["refused"] == 1
    assert len(rows) == 3


def test_an_unknown_family_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "nope"]) == 2
    assert '"nope" is not a family. There are: access, ' in capsys.readouterr().err


def test_no_record_of_a_run_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["coverage", "--used", "--cache", str(tmp_path)]) == 2
    assert "no run has left a record" in capsys.readouterr().err


def test_a_run_leaves_its_record_in_pytests_cache(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("def test_version(proxmox):\n    assert proxmox.version.get()\n")
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)
    record = pytester.path / ".pytest_cache" / "d" / "proxmox"
    usage = Usage.read(record.glob("used-*.json"))
    assert usage.answered["GET", "/version"] >= 1
