"""The page of benchmark results: a section each, replaced alone, with what it was measured with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import harness, results
from tests.house.source import ROOT

TODAY = date(2026, 1, 2)


def _row(name: str, ratio: float = 1.0, *, bound: float = 2.0) -> harness.Row:
    return harness.Row(name, "a|b", (ratio,) * 7, harness.at_most(bound))


def _kept(file: Path, name: str, *rows: harness.Row, peers: Sequence[str] = ()) -> str:
    results.keep(name, rows, peers, today=TODAY, file=file)
    return file.read_text() if file.exists() else ""


def test_a_row_shows_ratio_spread_goal_and_verdict(tmp_path: Path) -> None:
    page = _kept(tmp_path / "R.md", "guests", _row("start", 1.25), _row("stop", 3.0))
    assert "| start | a\\|b | 1.250 | 1.250 to 1.250 | <= 2 | holds |" in page
    assert "| stop | a\\|b | 3.000 | 3.000 to 3.000 | <= 2 | BROKEN |" in page


def test_a_section_says_when_and_with_which_versions(tmp_path: Path) -> None:
    peers = ("pytest", "fakepve[crypto]==0.5.0", "no-such-distribution")
    page = _kept(tmp_path / "R.md", "guests", _row("start"), peers=peers)
    assert "\n2026-01-02, Python 3." in page
    assert f", fakepve 0.5.0, pytest {metadata.version('pytest')}, " in page
    assert "no-such-distribution" not in page


def test_another_run_replaces_its_section_alone(tmp_path: Path) -> None:
    file = tmp_path / "R.md"
    _kept(file, "guests", _row("start", 1.5))
    _kept(file, "backups", _row("write"))
    before = file.read_text()
    page = _kept(file, "guests", _row("start", 1.75))
    assert page == before.replace("1.500", "1.750")
    assert [line for line in page.splitlines() if line[:2] == "##"] == ["## backups", "## guests"]


def test_a_benchmark_that_could_not_run_keeps_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "R.md"
    before = _kept(file, "guests", _row("start"))
    assert _kept(file, "guests") == before


def test_the_page_says_that_it_promises_no_time(tmp_path: Path) -> None:
    page = _kept(tmp_path / "R.md", "guests", _row("start"))
    assert "promises no absolute time" in " ".join(page.split())


def test_a_later_benchmark_that_fails_loses_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "R.md"

    def fails() -> Sequence[harness.Row]:
        raise RuntimeError("no peer")

    with pytest.raises(RuntimeError, match="no peer"):
        harness.run([lambda: [_row("start")], fails], keep=results.keeper(file, {}))
    assert "| start |" in file.read_text()


def test_the_command_writes_the_page_of_a_small_benchmark(tmp_path: Path) -> None:
    """As ``./dev bench tiny`` does, with the real harness, in a copy of this folder."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("__init__", "__main__", "harness", "results", "peers"):
        (folder / f"{name}.py").write_text((ROOT / "benchmarks" / f"{name}.py").read_text())
    (folder / "tiny.py").write_text(
        "from benchmarks import harness\n"
        "def main():\n"
        "    work = harness.seconds(lambda: sum(range(20_000)))\n"
        "    return [harness.compare('sum', work, work, against='itself',"
        " bound=harness.at_most(50))]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "tiny"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (folder / "RESULTS.md").read_text()
    assert "## tiny\n" in page
    assert "| sum | itself | " in page


def test_peers_are_named_for_benchmarks_that_there_are() -> None:
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(command.PEERS) <= names
