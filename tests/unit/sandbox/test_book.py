"""The book's file is opened by all of a run's processes at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESSES = 4
BOOKS = 400  # before the switch to WAL was tried again, some opening nearly always failed

OPEN_ALL = """
import sys
from pathlib import Path
from pytest_proxmox.sandbox.book import Book

print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    book = Book(Path(sys.argv[1], f"{number}.sqlite"), durable=False)
    with book.writing() as db:
        db.execute("SELECT 1")
    book.close()
"""


def test_processes_that_open_a_new_book_together_all_get_it(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_ALL, str(tmp_path), str(BOOKS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert [worker.communicate(timeout=60)[1] for worker in workers] == [""] * PROCESSES
