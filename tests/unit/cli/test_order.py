"""``pytest-proxmox order``: names polluter, victim and cleaner, and how to see it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_proxmox.cli.main import BAD_INPUT, main
from tests.plugin.conftest import FEW_PLUGINS

POLLUTED = """
seen = []

def test_polluter():
    seen.append("dirt")

def test_other():
    pass

def test_victim():
    assert not seen

def test_cleaner():
    seen.clear()
"""


@pytest.fixture
def suite(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of tests, one of which fails behind another."""
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)
    path = here / "suite.py"
    path.write_text(POLLUTED)
    (here / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return path


def test_polluter_and_cleaner_are_named_with_a_command_that_fails(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["order", "--", "-q", suite.name]) == 1
    out, err = capsys.readouterr()
    told = dict(line.split(None, 1) for line in out.splitlines() if line.strip())
    assert told["victim"] == "suite.py::test_victim"
    assert told["polluter"] == "suite.py::test_polluter"
    assert told["cleaner"] == "suite.py::test_cleaner"
    assert "the given order: 1 of 4 tests fail" in err
    name, *arguments = told["reproduce"].split()
    assert (name, "-q" in arguments) == ("pytest", True)
    done = subprocess.run([sys.executable, "-m", name, *arguments], check=False, text=True,
                          stdout=subprocess.PIPE)  # fmt: skip
    assert (done.returncode, "1 failed, 1 passed" in done.stdout) == (1, True)


def test_test_that_fails_alone_blames_no_other(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write_text("def test_fine(): pass\n\ndef test_broken(): assert False\n")
    assert main(["order", "--seed", "3", "--", suite.name]) == 1
    out, err = capsys.readouterr()
    assert "victim    suite.py::test_broken\n          fails alone too: no other" in out
    assert "polluter" not in out
    assert out.endswith("\n2 runs\n")
    assert "random order 3: 1 of 2 tests fail" in err


def test_suite_that_passes_in_every_order_ends_with_0(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write_text("def test_fine(): pass\n\ndef test_too(): pass\n")
    assert main(["order", "--", suite.name]) == 0
    assert capsys.readouterr().out == "No test failed in 5 orders of 2 tests.\n"


def test_named_victim_that_passes_is_a_mistake(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = f"{suite.name}::test_other"
    assert main(["order", "--victim", fine, "--seed", "1", "--", suite.name]) == BAD_INPUT
    err = capsys.readouterr().err
    assert f"{fine} does not fail in the orders that were tried (option --victim)" in err


def test_pytest_that_cannot_run_is_told_with_what_it_says(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["order", "--", "nowhere.py"]) == BAD_INPUT
    err = capsys.readouterr().err
    assert "exit code 4 before it could judge a test" in err
    assert "nowhere.py" in err
