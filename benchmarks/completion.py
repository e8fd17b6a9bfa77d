"""What Tab costs in a workspace of 10,000 guests: the second Tab, against 50 ms.

A person notices a pause of about 100 ms; half of that is left to the terminal. The first Tab
reads the names from the database; the second finds them still fresh, which it asks of the
database's files each time. It is measured as prompt_toolkit asks: through the completer, with
every candidate drawn from it.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from rich.console import Console
from sqlalchemy import insert

from benchmarks.harness import Measure, Row, at_most, compare
from src_app.console.commands import make_registry
from src_app.console.completion import Completions, TabCompleter
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.db.models import Base
from src_app.db.repositories import RepositoryFactory
from src_app.services.syncing import utc_now
from src_app.workspace import ProjectWorkspace, WorkspaceConfig

NAMES = 10_000
FIRST = 100
LIMIT_MS = 50.0
LINES = {
    "second Tab, all 10,000 names": "describe container ",
    "second Tab, the 1,111 names of a prefix": "describe container guest-1",
    "second Tab, one name": "describe container guest-9999",
}


def main() -> Sequence[Row]:
    """Return a row for each line."""
    with tempfile.TemporaryDirectory() as folder:
        config = WorkspaceConfig.of({"name": "many", "host": "pve.example.org"})
        with ProjectWorkspace.create(Path(folder), config, secret="none") as workspace:
            _fill(workspace)
        ui = Ui(Console(file=io.StringIO()), Console(file=io.StringIO()))
        with ConsoleSession(make_registry(), ui, cwd=Path(folder), environ={}) as session:
            session.detect()
            completer = TabCompleter(Completions(session))
            return [
                compare(name, _tab_ms(completer, line), lambda: LIMIT_MS,
                        against="50 ms", bound=at_most(1.0))
                for name, line in LINES.items()
            ]  # fmt: skip


def _fill(workspace: ProjectWorkspace) -> None:
    """Put the guests into the database."""
    stamp = {"created_at": utc_now(), "updated_at": utc_now()}
    node = {"id": "pve", "status": "online", **stamp}
    guests = [
        {"id": FIRST + n, "node_id": "pve", "hostname": f"guest-{n}", "status": "running", **stamp}
        for n in range(NAMES)
    ]

    def fill(db: RepositoryFactory) -> None:
        db.session.execute(insert(Base.metadata.tables["nodes"]), [node])
        db.session.execute(insert(Base.metadata.tables["containers"]), guests)

    workspace.store.run(fill)


def _tab_ms(completer: TabCompleter, line: str) -> Measure:
    """Return a measure of one Tab behind a line; the harness throws its first reading away."""
    event = CompleteEvent(completion_requested=True)

    def measure() -> float:
        began = time.perf_counter()
        found = list(completer.get_completions(Document(line), event))
        took_s = time.perf_counter() - began
        if not any("guest-" in candidate.text for candidate in found):
            raise RuntimeError(f"{line!r} completes to nothing")
        return took_s * 1000

    return measure
