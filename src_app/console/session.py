"""One sitting at the console: its workspace, its history, and how a line becomes a result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from src_app.clock import Clock, SystemClock
from src_app.console import language, words
from src_app.console.errors import Declined, UsageError
from src_app.console.history import History, SessionFile
from src_app.console.registry import (
    CANCELLED,
    DECLINED,
    FAILED,
    OK,
    USAGE,
    Command,
    Context,
    Outcome,
    Registry,
)
from src_app.console.services import Connect, Services, open_connection
from src_app.console.ui import Ui
from src_app.domain.errors import AppManagerError, InvalidInput
from src_app.observability.observer import Observer
from src_app.proxmox.errors import ProxmoxError, SettingError
from src_app.workspace import ProjectWorkspace
from src_app.workspace.errors import NoWorkspace

HOME = "APP_CONSOLE_HOME"  # where history and session lie outside of any workspace


class ConsoleSession:
    """What commands share while the console is open."""

    def __init__(
        self,
        registry: Registry,
        ui: Ui,
        *,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        connect: Connect = open_connection,
        clock: Clock | None = None,
    ) -> None:
        self.registry = registry
        self.ui = ui
        self.cwd = cwd.absolute()
        self.environ = dict(os.environ if environ is None else environ)
        self.is_over = False
        self.observer = Observer()  # the registry puts its own in this place
        self.connect = connect
        self._clock = clock or SystemClock()
        self._started = self._clock.monotonic()
        self._services: Services | None = None
        self._history: History | None = None
        self._file: SessionFile | None = None

    # -- state -------------------------------------------------------------------------------

    @property
    def workspace(self) -> ProjectWorkspace | None:
        """The open workspace, None where there is none."""
        return None if self._services is None else self._services.workspace

    @property
    def services(self) -> Services:
        """The services of the open workspace.

        Raises:
            NoWorkspace: there is none.
        """
        if self._services is None:
            raise NoWorkspace.at(self.cwd)
        return self._services

    @property
    def home(self) -> Path:
        """Where history and session lie: in the workspace, else with the user."""
        if self.workspace is not None:
            return self.workspace.parts.folder / "history"
        told = self.environ.get(HOME)
        return Path(told) if told else Path(self.environ.get("HOME", ".")) / ".proxmox-mpc"

    @property
    def history(self) -> History:
        """The commands that were typed."""
        if self._history is None:
            self._history = History(self.home / "commands.jsonl")
        return self._history

    def detect(self) -> None:
        """Open the workspace of the folder where there is one, and say what was repaired."""
        root = ProjectWorkspace.detect(self.cwd)
        if root is not None:
            self.use(ProjectWorkspace.load(root))

    def use(self, workspace: ProjectWorkspace) -> None:
        """Work on this workspace from now on."""
        self.leave()
        self._services = Services(
            workspace, connect=self.connect, observer=lambda: self.observer, clock=self._clock
        )
        for notice in workspace.notices:
            self.ui.note(notice)

    def leave(self) -> None:
        """Close the workspace; without one nothing happens."""
        if self._services is not None:
            self._services.workspace.close()
        self._services = self._history = None

    def recover(self) -> None:
        """Undo what an earlier console left unfinished; says so, also where it must wait."""
        services = self._services
        if services is None:
            return
        changes = services.store.read(lambda db: db.changes.count({"status": ["pending", "begun"]}))
        if not changes:
            return
        try:
            endings = services.changes.recover()
        except ProxmoxError as exc:
            self.ui.note(f"An interrupted change waits to be undone: {exc.what}.")
            return
        for ending in endings:
            told = [f"done: {text}" for text in ending.done]
            told += [f"undone: {text}" for text in ending.undone]
            told += [f"not undone: {text}" for text in ending.left]
            self.ui.note(f"An interrupted change was settled: {'; '.join(told) or 'nothing ran'}.")

    def crashed(self) -> str | None:
        """Return when a session of this place began that was cut off, None where none was."""
        return SessionFile(self.home / "session.json").crashed()

    def mark_open(self) -> None:
        """Write down that this session is open, for whoever starts after a crash."""
        self.mark_closed()
        self._file = SessionFile(self.home / "session.json")
        self._file.open()

    def mark_closed(self) -> None:
        """Write down that it was ended well."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def duration_s(self) -> float:
        """Return how long the session has lasted."""
        return self._clock.monotonic() - self._started

    # -- running -----------------------------------------------------------------------------

    def execute(self, line: str) -> int:
        """Return the exit code of a line, once what it asks for is done and shown.

        The line is in the history before it runs. Ctrl-C ends the command, not the session.
        """
        if not line.strip() or line.lstrip().startswith("#"):
            return OK
        self.history.begin(line.strip())
        written_to = self.history
        began = self._clock.monotonic()
        code = self._guarded(line)
        took_s = self._clock.monotonic() - began
        written_to.end(code, took_s)
        if self.history is not written_to:  # /init made the place where it lies from now on
            self.history.begin(line.strip())
            self.history.end(code, took_s)
        return code

    def _guarded(self, line: str) -> int:
        name, as_json = line.split()[0], "--json" in line.split() or "-j" in line.split()
        code, message = FAILED, ""
        try:
            return self._run(line)
        except (UsageError, InvalidInput, SettingError) as exc:
            code, message = USAGE, str(exc)
        except Declined as exc:
            code, message = DECLINED, str(exc)
        except (AppManagerError, ProxmoxError) as exc:
            code, message = FAILED, str(exc)
        except KeyboardInterrupt:
            code, message = CANCELLED, "Cancelled."
        self.ui.fail(name, message, code, as_json=as_json)
        return code

    def _run(self, line: str) -> int:
        command, values = self._understood(line)
        if values["help"]:
            name = command.name
            command = self.registry.find("/help")
            values = {**words.parse(command, [name]), "json": values["json"]}
        outcome = self.registry.run(Context(command, values, self))
        self.ui.show(command.name, outcome, as_json=bool(values["json"]))
        return outcome.exit_code

    def _understood(self, line: str) -> tuple[Command, dict[str, Any]]:
        """Return the command of a line and its values; of plain English, once it is confirmed."""
        try:
            command, given = self.find(words.split(line))
            return command, words.parse(command, given)
        except UsageError:
            understood = language.understand(line)
            if understood is None:
                raise
        self.ui.note(f"I understood: {understood}", style="cyan")
        self.ui.confirm("Nothing was done yet.")
        command, given = self.find(words.split(understood))
        return command, words.parse(command, given)

    def find(self, given: list[str]) -> tuple[Command, list[str]]:
        """Return the command that words begin with, and the words behind its name.

        Raises:
            UnknownCommand: they begin with none.
        """
        return self.registry.find(given[0]), given[1:]

    def end(self) -> Outcome:
        """Close everything; the console ends behind this command."""
        self.is_over = True
        return Outcome((f"👋 Session ended ({self.duration_s():.0f}s)",), {"ended": True})

    def close(self) -> None:
        """Give the workspace back."""
        self.leave()

    def __enter__(self) -> ConsoleSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
