"""One pytest invocation: its settings, and what makes it end with a mistake or with leftovers."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.errors import UserMistake
    from pytest_proxmox.options import Sources

_KEY = pytest.StashKey["Invocation"]()
_OVER_XDIST = "pytest_proxmox"
CONTROLLER = "main"
CACHE_NAME = "proxmox"  # the folder in pytest's cache


class ProxmoxWarning(pytest.PytestWarning):
    """Something about a run that its user should know and that is no error."""


class Invocation:
    """What one process of an invocation knows; xdist's workers hand theirs to the controller.

    ``run_id`` is the same in all of them, ``worker`` is not. ``mistake`` is the user's mistake
    that stopped the run (exit code 4), ``leftovers`` are guests that could not be removed,
    with the command that frees each (exit code 1), ``notes`` are shown and change nothing.
    ``usage_file()`` is where this process says which API methods it used, None where pytest's
    cache is off.
    """

    def __init__(self, sources: Sources, run_id: str = "", worker: str = CONTROLLER) -> None:
        self.sources = sources
        self.run_id = run_id or os.urandom(8).hex()
        self.worker = worker
        self.mistake: str | None = None
        self.usage_file: Callable[[], Path | None] = lambda: None
        self.leftovers: list[str] = []
        self.notes: list[str] = []

    @classmethod
    def of(cls, config: pytest.Config) -> Invocation:
        """Return what this process knows of its invocation."""
        return config.stash[_KEY]

    @classmethod
    def begin(cls, config: pytest.Config, sources: Sources) -> Invocation:
        """Return a new one, found by ``of`` from now on; a worker's is part of its controller's.

        Raises:
            InvalidValue: a source gives a value that cannot be used.
        """
        given = getattr(config, "workerinput", {})
        worker = given.get("workerid", CONTROLLER)
        begun = cls(sources, given[_OVER_XDIST], worker) if _OVER_XDIST in given else cls(sources)
        if not sources.is_silent:
            begun.settings  # noqa: B018 - mistakes show before anything runs
        config.stash[_KEY] = begun
        begun.usage_file = partial(_usage_file, config, begun)
        return begun

    @cached_property
    def settings(self) -> Settings:
        """What the sources give, parsed: at first use, which a run without our fixtures has not."""
        from pytest_proxmox.config import resolve

        return resolve(self.sources)

    @property
    def names_a_host(self) -> bool:
        """Whether anybody named a real Proxmox."""
        return not self.sources.is_silent and self.settings.host is not None

    @property
    def has_real_proxmox(self) -> bool:
        """Whether tests for a real Proxmox have one, or the recording of one."""
        return self.names_a_host or (not self.sources.is_silent and self.settings.kind == "replay")

    @property
    def may_leave_guests(self) -> bool:
        """Whether tests may make guests on a Proxmox that outlives the run."""
        if self.sources.is_silent or self.settings.kind == "replay":
            return False
        return self.settings.host is not None or self.settings.kind == "url"

    def describe(self, *, defaults: bool) -> list[str]:
        """Return the header's lines."""
        if self.sources.is_silent and not defaults:  # the same line, without parsing settings
            return ["simulator (default)"]
        from pytest_proxmox.config import describe

        return describe(self.settings, defaults=defaults)

    def note_once(self, lines: list[str]) -> None:
        """Show what every worker finds alike; the first one tells it."""
        if self.worker in (CONTROLLER, "gw0"):
            self.notes.extend(lines)

    def stop(self, session: pytest.Session, mistake: UserMistake, *, what: str = "Proxmox") -> None:
        """Let no further test begin: each would fail for the same reason."""
        self.mistake = self.mistake or str(mistake)
        session.shouldstop = f"{what} cannot be used"

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
