"""Servers that a benchmark measures, each a process of its own on a free loopback port."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "benchmarks"
FAKEPVE = "fakepve[crypto]==0.5.0"  # the best peer; AGPL, so only ever run, never linked
WAIT_S = 30.0


@dataclass(frozen=True)
class Running:
    """A server that answers: its address, the process, how long its start took."""

    host: str
    port: int
    password: str
    process: subprocess.Popen[bytes]
    start_s: float
    node: str
    storage: str
    template: str

    def resident_bytes(self) -> int:
        """Return the memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(row for row in status.splitlines() if row.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


def peer_python(name: str, requirement: str) -> Path:
    """Return the Python of a virtual environment that holds one peer, made on first use."""
    folder = CACHE / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "-q", "install", requirement], check=True)
    return python


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    context = ssl._create_unverified_context()  # noqa: S323 - both are this machine's own
    try:
        with urllib.request.urlopen(url, context=context, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextmanager
def _server(command: Sequence[str | Path], port: int, path: str, **facts: str) -> Iterator[Running]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    url = f"https://127.0.0.1:{port}{path}"
    try:
        while not _answers(url):
            if process.poll() is not None or time.perf_counter() - began > WAIT_S:
                raise RuntimeError(f"{command[0]} did not answer at {url}")
        took = time.perf_counter() - began
        yield Running("127.0.0.1", port, "secret", process, took, **facts)
    finally:
        process.terminate()
        process.wait(WAIT_S)


@contextmanager
def ours(*options: str) -> Iterator[Running]:
    """Give the embedded Proxmox as ``pytest-proxmox serve``."""
    port = free_port()
    command = [sys.executable, "-m", "pytest_proxmox", "serve", "--port", str(port), *options]
    facts = {
        "node": "pve",
        "storage": "local-lvm",
        "template": "local:vztmpl/alpine-3.18-default_20230607_amd64.tar.xz",
    }
    with _server(command, port, "/api2/json/access/ticket", **facts) as server:
        yield server


@contextmanager
def fakepve(folder: Path) -> Iterator[Running]:
    """Give fakepve with tasks that end at once, in an environment of its own."""
    python = peer_python("fakepve", FAKEPVE)
    guests = folder / "guests.json"
    guests.write_text(json.dumps({"guests": []}), encoding="utf-8")
    port = free_port()
    command: list[str | Path] = [
        python.with_name("fakepve"),
        guests,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--time-scale",
        "0",
    ]
    facts = {"node": "pve1", "storage": "local-lvm", "template": "local:vztmpl/a_1_amd64.tar.xz"}
    with _server(command, port, "/api2/json/access/ticket", **facts) as server:
        yield server


@contextmanager
def constant(body: bytes) -> Iterator[Running]:
    """Give the floor: our web server and certificates, with one answer to everything."""
    port = free_port()
    code = (
        "import sys\n"
        "from benchmarks.constant import serve\n"
        "serve(int(sys.argv[1]), sys.argv[2].encode())\n"
    )
    command = [sys.executable, "-c", code, str(port), body.decode()]
    facts = {"node": "pve", "storage": "", "template": ""}
    with _server(command, port, "/", **facts) as server:
        yield server
