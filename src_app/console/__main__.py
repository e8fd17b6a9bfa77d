"""``python -m src_app.console``: typed on a terminal, or scripted by -c, a file, or a pipe."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console

from src_app.console.commands import make_registry
from src_app.console.registry import OK, USAGE
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.domain.errors import AppManagerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console and return the exit code: of the first command of a script that fails."""
    args = _parser().parse_args(arguments)
    scripted = bool(args.command) or args.file is not None or not sys.stdin.isatty()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if not scripted:
        from src_app.console.terminal import converse

        return converse(args.folder)
    ui = Ui(
        Console(soft_wrap=True, highlight=False),
        Console(stderr=True, soft_wrap=True, highlight=False),
        as_json=args.json,
        assume_yes=args.yes,
    )
    try:
        lines = args.command or _lines(args.file)
    except OSError as exc:
        ui.fail(
            "", f'The script "{args.file}" cannot be read: {exc.strerror}', USAGE, as_json=False
        )
        return USAGE
    return run_script(lines, ui, args.folder, keep_going=args.keep_going)


def run_script(lines: Iterable[str], ui: Ui, folder: Path, *, keep_going: bool = False) -> int:
    """Return the exit code of the first line that failed, 0 where none did."""
    first = OK
    with ConsoleSession(make_registry(), ui, cwd=folder) as session:
        try:
            session.detect()
            session.recover()
        except AppManagerError as exc:
            ui.fail("", str(exc), 1, as_json=False)
            return 1
        for line in lines:
            code = session.execute(line)
            first = first or code
            if session.is_over or (code != OK and not keep_going):
                break
    return first


def _lines(file: Path | None) -> Iterable[str]:
    if file is None:
        return _stream(sys.stdin)
    return file.read_text(encoding="utf-8").splitlines()


def _stream(stream: TextIO) -> Iterable[str]:
    return (line.rstrip("\n") for line in stream)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m src_app.console", description="A console for workspaces of Proxmox VE"
    )
    parser.add_argument("file", nargs="?", type=Path, help="a script: one command a line")
    parser.add_argument("-c", "--command", action="append", help="a command; may be repeated")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument("--yes", action="store_true", help="agree to everything")
    parser.add_argument("--keep-going", action="store_true", help="go on behind a failed command")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="the workspace, or a folder inside of it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
