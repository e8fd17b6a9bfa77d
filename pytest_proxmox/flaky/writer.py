"""Writes attempts to the history in the background: whatever happens to it, the run goes on."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pytest_proxmox.errors import ProxmoxTestError
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.report.events import Attempt, Failure, RunEnd, RunFacts

BATCH_S = 10.0  # tests that began within this time go to the database together
PATIENCE_S = 15.0  # how long the end of a run waits for a database that answers slowly
KEPT = "unsent-*.jsonl"


class Writer:
    """The writer of one run; ``note`` takes what the user should know.

    Attempts go to the database in batches, by a thread that starts with the first batch; a run
    that is killed loses its last one. A batch is a stretch of time, and not a number of attempts:
    the thread shares the interpreter with the tests, which short ones would feel. What
    the database does not take (locked, broken, gone) is kept in a file in ``spool`` and taken
    in by the next run.
    """

    def __init__(
        self, place: Place, facts: RunFacts, *, spool: Path, note: Callable[[str], None]
    ) -> None:
        self._place = place
        self._facts = facts
        self._spool = spool
        self._note = note
        self._batch: list[Attempt] = []
        self._queue: queue.SimpleQueue[list[Attempt] | RunEnd] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._unsent: list[Attempt] = []
        self._trouble = ""

    def add(self, attempt: Attempt) -> None:
        """Take an attempt; costs an append, and a batch's hand-over now and then."""
        if self._batch and attempt.started - self._batch[0].started >= BATCH_S:
            self._hand_over()
        self._batch.append(attempt)

    def end(self, end: RunEnd) -> None:
        """Store what is left, and wait for it."""
        if not self._batch and self._thread is None:
            return
        self._hand_over()
        self._queue.put(end)
        thread = self._thread
        if thread is not None:
            thread.join(PATIENCE_S)
            if thread.is_alive():
                self._trouble = f"it did not answer within {PATIENCE_S:g} s"
        if self._trouble:
            self._tell(self._keep(end))

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        self._queue.put(batch)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="flaky-history", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """The thread: everything that fails here ends up in a file, and nowhere else."""
        from pytest_proxmox.flaky.history import History

        try:
            with History.open(self._place) as history:
                self._take_in(history)
                history.begin(self._facts)
                self._write(history)
        except ProxmoxTestError as exc:
            self._trouble = str(exc)
            self._drain()

    def _write(self, history: Any) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, RunEnd):
                history.end(item)
                self._judge(history)
                return
            self._unsent.extend(item)
            history.add(self._unsent)
            self._unsent.clear()

    def _judge(self, history: Any) -> None:
        if not history.ever_failed(self._facts.project):
            return  # the statistics, whose import takes its time, are not needed
        from pytest_proxmox.flaky.verdicts import judge_failing

        judge_failing(history, self._facts.project)

    def _drain(self) -> None:
        """Collect what still comes, until the run ends."""
        while not isinstance(item := self._queue.get(), RunEnd):
            self._unsent.extend(item)

    def _take_in(self, history: Any) -> None:
        """Store what earlier runs could not."""
        for path in sorted(self._spool.glob(KEPT)) if self._spool.is_dir() else ():
            facts, attempts, end = read_kept(path)
            history.begin(facts)
            history.add(attempts, name=path.name)
            history.end(end)
            path.unlink(missing_ok=True)

    def _keep(self, end: RunEnd) -> Path | None:
        unsent = list(self._unsent)
        if not unsent:
            return None
        path = self._spool / f"unsent-{self._facts.id}.jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_text(
                "".join(f"{json.dumps(line)}\n" for line in (self._facts, end, *unsent)),
                encoding="utf-8",
            )
            partial.replace(path)
        except OSError as exc:
            self._trouble += f". Neither can {path} be written: {exc}"
            return None
        return path

    def _tell(self, kept: Path | None) -> None:
        kept_there = (
            f" {len(self._unsent)} attempts are kept in {kept} until the next run." if kept else ""
        )
        self._note(f"{self._trouble}.{kept_there}")


def read_kept(path: Path) -> tuple[RunFacts, list[Attempt], RunEnd]:
    """Return what a run kept in a file because its history did not take it."""
    lines: Iterable[Any] = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    facts, end, *rest = lines
    at = Attempt._fields.index("failure")
    for row in rest:
        row[at] = None if row[at] is None else Failure(*row[at])
    attempts = [Attempt(*row) for row in rest]
    return RunFacts._make(facts), attempts, RunEnd._make(end)
