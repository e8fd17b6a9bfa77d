"""Whole runs of pytest in processes of their own, in an order that is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky import ordering

NOT_RUN = (2, 3, 4)  # interrupted, internal error, usage error: no outcome to speak of


class Outcomes(NamedTuple):
    """What a run did: its exit code, the tests in their order, and how each ended."""

    code: int
    collected: tuple[str, ...]
    outcomes: Mapping[str, str]

    @property
    def failed(self) -> list[str]:
        """The tests that failed, in their order."""
        return [name for name in self.collected if self.outcomes.get(name) == "failed"]


class Runner(Protocol):
    """Anything that can run tests in an order."""

    def run(self, tests: Sequence[str] | None = None, *, seed: int | None = None) -> Outcomes:
        """Run these tests, in this order; all of them where none are named."""


class PytestRunner:
    """Runs pytest with the arguments that were given; ``alone`` switches xdist and reruns off."""

    def __init__(
        self, args: Sequence[str], *, alone: bool, quiet: bool, cwd: Path | None = None
    ) -> None:
        self._args = list(args)
        self._alone = alone
        self._quiet = quiet
        self._cwd = cwd
        self.count = 0

    def run(self, tests: Sequence[str] | None = None, *, seed: int | None = None) -> Outcomes:
        """Run these tests, in this order; all of them where none are named.

        Raises:
            InvalidValue: pytest could not run at all with the arguments.
        """
        self.count += 1
        with tempfile.TemporaryDirectory(prefix="pytest-proxmox-") as name:
            folder = Path(name)
            task = {"tests": tests, "seed": seed, "result": str(folder / "result.json")}
            (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
            done = subprocess.run(
                self._command(),
                env=self._environment(folder / "task.json", seed),
                cwd=self._cwd,
                stdout=subprocess.PIPE if self._quiet else None,
                stderr=subprocess.STDOUT if self._quiet else None,
                text=True,
                check=False,
            )
            result = folder / "result.json"
            if done.returncode in NOT_RUN or not result.is_file():
                said = (done.stdout or "above").strip().replace("\n", "\n  ")[-2000:]
                raise InvalidValue(
                    f"pytest ended with exit code {done.returncode} before it could judge a test",
                    origin=f"arguments: {' '.join(self._args) or 'none'}",
                    hint=f"Mend what pytest says: {said}",
                )
            told = json.loads(result.read_text(encoding="utf-8"))
        return Outcomes(done.returncode, tuple(told["collected"]), told["outcomes"])

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "pytest", "-p", ordering.NAME, *self._args]
        if self._alone:
            command += ["-p", "no:randomly", "--infra-reruns=0", "--flaky-history=off", "--tb=no"]
            if find_spec("xdist") is not None:
                command += ["-p", "xdist", "-n0"]  # known to pytest even where none is loaded
        return command

    def _environment(self, task: Path, seed: int | None) -> dict[str, str]:
        environ = {**os.environ, ordering.VARIABLE: str(task)}
        if seed is not None:
            environ[ordering.SEED_VARIABLE] = str(seed)
        return environ
