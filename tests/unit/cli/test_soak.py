"""``pytest-proxmox soak``: repeats, stops at a failure or by Ctrl-C, and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_proxmox.cli.main import BAD_INPUT, main
from pytest_proxmox.flaky.runs import Outcomes, PytestRunner
from tests.plugin.conftest import FEW_PLUGINS

INTERRUPTED = 130


@pytest.fixture
def suite(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one test, which fails where a file is there."""
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)
    (here / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    path = here / "suite.py"
    path.write_text(f"import os\n\ndef test_one():\n    assert not os.path.exists('{here}/bad')\n")
    return path


def test_clean_runs_end_with_0_and_a_bound(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", "-n", "2", "--quiet", "--", suite.name]) == 0
    assert capsys.readouterr().out.startswith("2 runs, 0 failed: with 95 % confidence")


@pytest.mark.parametrize(("flags", "runs"), [([], 1), (["--keep-going"], 2)], ids=["stop", "go on"])
def test_failure_ends_it_with_1(
    suite: Path, capsys: pytest.CaptureFixture[str], flags: list[str], runs: int
) -> None:
    (suite.parent / "bad").touch()
    assert main(["soak", "-n", "2", "--quiet", *flags, "--", suite.name]) == 1
    assert f"suite.py::test_one: {runs} of {runs}" in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_done_for_resume(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = PytestRunner.run

    def interrupted(
        self: PytestRunner, tests: Sequence[str] | None = None, *, seed: int | None = None
    ) -> Outcomes:
        if self.count == 1:
            raise KeyboardInterrupt
        return run(self, tests, seed=seed)

    with monkeypatch.context() as patched:
        patched.setattr(PytestRunner, "run", interrupted)
        assert main(["soak", "-n", "2", "--quiet", "--", suite.name]) == INTERRUPTED
    out, err = capsys.readouterr()
    assert out.startswith("1 run, 0 failed")
    assert "Go on with: pytest-proxmox soak --resume" in err
    assert main(["soak", "-n", "2", "--quiet", "--resume"]) == 0
    assert capsys.readouterr().out.startswith("2 runs, 0 failed")


@pytest.mark.parametrize("number", ["0", "-1"])
def test_no_runs_are_a_mistake(here: Path, capsys: pytest.CaptureFixture[str], number: str) -> None:
    assert main(["soak", "-n", number]) == BAD_INPUT
    assert f'"{number}" is no number of runs (option -n)' in capsys.readouterr().err
    assert list(here.iterdir()) == []
