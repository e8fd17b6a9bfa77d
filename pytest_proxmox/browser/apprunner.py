"""Runs a program until it ends, or until the process that wanted it is gone.

``python -m pytest_proxmox.browser.apprunner FD[,FD...] PROGRAM ARGUMENT...``: the first ``FD`` is
the end of a pipe whose other end the wanting process holds, and the kernel closes at any death;
the others are for the program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_S = 8.0  # below what the wanting process waits for us


def main(arguments: list[str]) -> int:
    """Run the program, end it when the pipe closes, and return its exit code."""
    alive, *fds = map(int, arguments[0].split(","))
    with subprocess.Popen(arguments[1:], pass_fds=fds) as child:
        threading.Thread(target=_end_with, args=(alive, child), daemon=True).start()
        return child.wait()


def _end_with(alive: int, child: subprocess.Popen[bytes]) -> None:
    os.read(alive, 1)  # returns at the end of the pipe only: nobody writes to it
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
