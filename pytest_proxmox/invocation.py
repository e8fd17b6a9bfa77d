"""One pytest invocation: its settings, and what makes it end with a mistake or with leftovers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.errors import UserMistake

_KEY = pytest.StashKey["Invocation"]()
_WORKER_OUTPUT = "pytest_proxmox"


class ProxmoxWarning(pytest.PytestWarning):
    """Something about a run that its user should know and that is no error."""


@dataclass
class Invocation:
    """What one process of an invocation knows; xdist's workers hand theirs to the controller.

    ``mistake`` is the user's mistake that stopped the run (exit code 4), ``leftovers`` are
    guests that could not be removed, with the command that frees each (exit code 1).
    """

    settings: Settings
    mistake: str | None = None
    leftovers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, config: pytest.Config) -> Invocation:
        """Return what this process knows of its invocation."""
        return config.stash[_KEY]

    @classmethod
    def begin(cls, config: pytest.Config, settings: Settings) -> Invocation:
        """Return a new one, found by ``of`` from now on."""
        run = config.stash[_KEY] = cls(settings)
        return run

    def stop(self, session: pytest.Session, mistake: UserMistake) -> None:
        """Let no further test begin: each would fail for the same reason."""
        self.mistake = self.mistake or str(mistake)
        session.shouldstop = "Proxmox cannot be used"

    def hand_over(self, config: pytest.Config) -> None:
        """Give what a worker knows to its controller."""
        output = getattr(config, "workeroutput", None)
        if output is not None:
            output[_WORKER_OUTPUT] = {"mistake": self.mistake, "leftovers": self.leftovers}

    def take_over(self, output: dict[str, object]) -> None:
        """Add what a worker handed over; a worker that died hands over nothing."""
        given = output.get(_WORKER_OUTPUT)
        if isinstance(given, dict):
            self.mistake = self.mistake or given["mistake"]
            self.leftovers.extend(given["leftovers"])

    def exit_status(self, status: int) -> int:
        """Return what the process must end with, given what pytest would end with."""
        if self.mistake is not None:
            return int(pytest.ExitCode.USAGE_ERROR)
        if self.leftovers and status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return int(pytest.ExitCode.TESTS_FAILED)
        return status
