"""What the user sees and is asked: on a terminal with colours and progress, in a script without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from src_app.console.errors import Declined
from src_app.console.registry import Outcome

Ask = Callable[[str, bool], str]  # the prompt, and whether what is typed is a secret
Report = Callable[[int, int], None]


class Ui:
    """One way to talk to the user. Without ``ask`` nobody is there to answer."""

    def __init__(
        self,
        out: Console,
        err: Console,
        *,
        ask: Ask | None = None,
        as_json: bool = False,
        assume_yes: bool = False,
    ) -> None:
        self.out = out
        self.err = err
        self.as_json = as_json
        self._ask = ask
        self._assume_yes = assume_yes

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked."""
        return self._ask is not None

    def show(self, command: str, outcome: Outcome, *, as_json: bool) -> None:
        """Print what a command has to say."""
        if as_json or self.as_json:
            ok = outcome.exit_code == 0
            self._print_json(
                {"command": command, "ok": ok, "exit_code": outcome.exit_code, **outcome.data}
            )
            return
        for item in outcome.shown:
            self.out.print(Text(item) if isinstance(item, str) else item)

    def fail(self, command: str, message: str, exit_code: int, *, as_json: bool) -> None:
        """Print what went wrong: on standard error, or as JSON where that is wanted."""
        if as_json or self.as_json:
            told = {"command": command, "ok": False, "exit_code": exit_code, "error": message}
            self._print_json(told)
            return
        self.err.print(Text(message, style="red"))

    def note(self, message: str, *, style: str = "yellow") -> None:
        """Print something that happened besides."""
        self.err.print(Text(message, style=style))

    def confirm(self, question: str) -> None:
        """Return once the user agreed.

        Raises:
            Declined: the user did not, or nobody is there.
        """
        if self._assume_yes:
            return
        if self._ask is None:
            raise Declined(f"{question} Nobody is there to answer: add --yes to go on.")
        self.err.print(Text(question, style="bold yellow"))
        if self._ask("Go on? [y/N] ", False).strip().lower() not in ("y", "yes"):
            raise Declined("Nothing was done.")

    def ask(self, prompt: str, *, default: str = "", secret: bool = False) -> str:
        """Return what the user typed, the default where it was nothing or nobody is there."""
        if self._ask is None:
            return default
        shown = f"{prompt} [{default}]: " if default else f"{prompt}: "
        return self._ask(shown, secret).strip() or default

    @contextmanager
    def progress(self, title: str) -> Iterator[Report]:
        """Show how far something is; yields what is called with how many of how many."""
        if not self.err.is_terminal or self.as_json:
            yield lambda done, total: None
            return
        columns = (SpinnerColumn(), TextColumn(title), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _print_json(self, plain: Mapping[str, Any]) -> None:
        text = json.dumps(plain, indent=2, default=str, ensure_ascii=False)
        self.out.print(text, soft_wrap=True, markup=False, highlight=False)
