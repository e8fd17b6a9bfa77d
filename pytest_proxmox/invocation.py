"""One pytest invocation: its settings, and what makes it end with a mistake or with leftovers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.errors import UserMistake

_KEY = pytest.StashKey["Invocation"]()
_OVER_XDIST = "pytest_proxmox"
CONTROLLER = "main"
CACHE_NAME = "proxmox"  # the folder in pytest's cache


class ProxmoxWarning(pytest.PytestWarning):
    """Something about a run that its user should know and that is no error."""


@dataclass
class Invocation:
    """What one process of an invocation knows; xdist's workers hand theirs to the controller.

    ``run_id`` is the same in all of them, ``worker`` is not. ``mistake`` is the user's mistake
    that stopped the run (exit code 4), ``leftovers`` are guests that could not be removed,
    with the command that frees each (exit code 1), ``notes`` are shown and change nothing.
    ``usage_file()`` is where this process says which API methods it used, None where pytest's
    cache is off.
    """

    settings: Settings
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    worker: str = CONTROLLER
    mistake: str | None = None
    usage_file: Callable[[], Path | None] = lambda: None
    leftovers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, config: pytest.Config) -> Invocation:
        """Return what this process knows of its invocation."""
        return config.stash[_KEY]

    @classmethod
    def begin(cls, config: pytest.Config, settings: Settings) -> Invocation:
        """Return a new one, found by ``of`` from now on; a worker's is part of its controller's."""
        given = getattr(config, "workerinput", {})
        worker = given.get("workerid", CONTROLLER)
        begun = cls(settings, given[_OVER_XDIST], worker) if _OVER_XDIST in given else cls(settings)
        config.stash[_KEY] = begun
        begun.usage_file = partial(_usage_file, config, begun)
        return begun

    def note_once(self, lines: list[str]) -> None:
        """Show what every worker finds alike; the first one tells it."""
        if self.worker in (CONTROLLER, "gw0"):
            self.notes.extend(lines)

    def stop(self, session: pytest.Session, mistake: UserMistake) -> None:
        """Let no further test begin: each would fail for the same reason."""
        self.mistake = self.mistake or str(mistake)
        session.shouldstop = "Proxmox cannot be used"

    def share(self, workerinput: dict[str, Any]) -> None:
        """Let an xdist worker that is about to start know whose part it is."""
        workerinput[_OVER_XDIST] = self.run_id

    def hand_over(self, config: pytest.Config) -> None:
        """Give what a worker knows to its controller."""
        output = getattr(config, "workeroutput", None)
        if output is not None:
            output[_OVER_XDIST] = {
                "mistake": self.mistake,
                "leftovers": self.leftovers,
                "notes": self.notes,
            }

    def take_over(self, output: dict[str, object]) -> None:
        """Add what a worker handed over; a worker that died hands over nothing."""
        given = output.get(_OVER_XDIST)
        if isinstance(given, dict):
            self.mistake = self.mistake or given["mistake"]
            self.leftovers.extend(given["leftovers"])
            self.notes.extend(given["notes"])

    def exit_status(self, status: int) -> int:
        """Return what the process must end with, given what pytest would end with."""
        if self.mistake is not None:
            return int(pytest.ExitCode.USAGE_ERROR)
        if self.leftovers and status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return int(pytest.ExitCode.TESTS_FAILED)
        return status


def _usage_file(config: pytest.Config, invocation: Invocation) -> Path | None:
    """Return this process's file in pytest's cache, with what earlier runs left there gone."""
    cache = getattr(config, "cache", None)
    if cache is None:  # -p no:cacheprovider
        return None
    folder: Path = cache.mkdir(CACHE_NAME)
    for old in folder.glob("used-*.json"):
        if not old.name.startswith(f"used-{invocation.run_id}-"):
            old.unlink(missing_ok=True)
    return folder / f"used-{invocation.run_id}-{invocation.worker}.json"
