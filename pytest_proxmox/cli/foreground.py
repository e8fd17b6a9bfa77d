"""Foreground: what the commands share that serve until they are told to stop.

They take a port, say in a file when they are ready, and end at a signal.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType

from pytest_proxmox.errors import InvalidValue

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def port(text: str) -> int:
    """Return the port that a flag names; 0 picks a free one."""
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}" is not a port; use 0 to 65535')
    return int(text)


def add_ready_file(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names the file which says that requests are answered."""
    parser.add_argument(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="write address and credentials there, as JSON, once requests are answered",
    )


def stop_event() -> threading.Event:
    """An event that the signals set; from now on they end the server, not the process."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), on_signal)
    return stop


def clear(ready_file: Path | None) -> None:
    """Take away what an earlier server left: who waits for the file must not read that."""
    if ready_file is None:
        return
    try:
        ready_file.unlink(missing_ok=True)
    except OSError as exc:
        raise _unwritable(ready_file, exc) from exc
    if not os.access(ready_file.parent, os.W_OK):
        raise InvalidValue(
            f'no file can be made in "{ready_file.parent}"',
            origin="option --ready-file",
            hint="Name one in a folder that exists",
        )


def _unwritable(path: Path, error: OSError) -> InvalidValue:
    return InvalidValue(
        f'"{path}" cannot be written: {error.strerror}',
        origin="option --ready-file",
        hint="Name another file",
    )


def write_atomically(path: Path, text: str) -> None:
    """Put the whole text there at once; only its owner can read it."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
