"""The console on a terminal: a prompt with completion, history and search, until /exit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession, prompt
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.history import History as PromptHistory
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console

from src_app.console.commands import make_registry
from src_app.console.completion import Completions, TabCompleter
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.domain.errors import AppManagerError

PROMPT = "proxmox-mpc> "
WELCOME = 'Proxmox-MPC console. Type "help" or "/help" for available commands, /exit to end.'


class TypedHistory(PromptHistory):
    """The session's history for prompt_toolkit: read from it, written by the session alone."""

    def __init__(self, session: ConsoleSession) -> None:
        super().__init__()
        self._session = session

    def load_history_strings(self) -> Iterable[str]:
        """Return the commands, newest first, as prompt_toolkit wants them."""
        return reversed(self._session.history.commands)

    def store_string(self, string: str) -> None:
        """Do nothing: the session writes a command down before it runs."""


def converse(folder: Path) -> int:
    """Read and run commands until the user ends; return the exit code, 0."""
    ui = Ui(Console(highlight=False), Console(stderr=True, highlight=False), ask=_ask)
    with ConsoleSession(make_registry(), ui, cwd=folder.absolute()) as session:
        ui.out.print(WELCOME, style="dim")
        try:
            _begin(session)
        except AppManagerError as exc:
            ui.fail("", str(exc), 1, as_json=False)
        typed: PromptSession[str] = PromptSession(
            history=TypedHistory(session),
            completer=TabCompleter(Completions(session)),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            auto_suggest=AutoSuggestFromHistory(),
            enable_history_search=True,
        )
        while not session.is_over:
            try:
                line = typed.prompt(PROMPT)
            except KeyboardInterrupt:
                continue  # the line is dropped, the session goes on
            except EOFError:
                line = "/exit"
            session.execute(line)
        session.mark_closed()
    return 0


def _begin(session: ConsoleSession) -> None:
    """Open the workspace of the folder, and take up what a crash left."""
    session.detect()
    workspace = session.workspace
    if workspace is not None:
        name = f"{workspace.config.name} ({workspace.root})"
        session.ui.out.print(f"📁 Workspace detected: {name}", markup=False)
    else:
        session.ui.out.print("No workspace here. Make one with /init.", style="dim")
    crashed = session.crashed()
    if crashed is not None:
        last = session.history.entries[-1] if session.history.entries else None
        cut = f' "{last.command}" had not ended.' if last and last.exit_code is None else ""
        count = len(session.history.commands)
        session.ui.note(
            f"♻️  Recovered the session of {crashed}, which was cut off.{cut} "
            f"{count} commands are in the history."
        )
    session.mark_open()
    session.recover()


def _ask(question: str, is_secret: bool) -> str:  # noqa: FBT001 - the type of a callback
    try:
        return prompt(question, is_password=is_secret)
    except EOFError:
        return ""
