"""A run: one pytest invocation, and the processes it consists of."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Run:
    """One process of a run: all xdist workers share ``id``, each has its own ``worker``.

    ``born`` tells this process from a later one that got the same pid.
    """

    id: str
    worker: str
    host: str
    pid: int
    born: str

    @classmethod
    def here(cls, run_id: str | None = None, *, worker: str = "main") -> Self:
        """Return this process's part of the run ``run_id``, of a new run without one."""
        pid = os.getpid()
        name = run_id if run_id is not None else secrets.token_hex(8)
        return cls(name, worker, socket.gethostname(), pid, birth(pid) or "")

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; where that cannot be known it counts as alive."""
        if self.host != socket.gethostname() or not self.born:
            return True
        return birth(self.pid) == self.born


def birth(pid: int) -> str | None:
    """Return what tells a process from others that had its pid, None where it is gone.

    Linux: clock ticks from boot to its start. macOS: its start as ``ps`` prints it. Windows:
    always None.
    """
    if os.name == "nt":
        return None
    try:
        # The name in parentheses may hold spaces; behind it come the state and 18 more fields.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    return None if fields[0] in ("Z", "X") else fields[19]


def _start_by_ps(pid: int) -> str | None:
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
