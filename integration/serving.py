"""An embedded Proxmox of its own: ``pytest-proxmox serve`` as a process, and a client for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxmoxer import ProxmoxAPI

START_TIMEOUT_S = 60
COMMAND = Path(sys.executable).with_name("pytest-proxmox")


@dataclass(frozen=True)
class Served:
    """A running server; ``ready`` is what it wrote into its ready file."""

    ready: dict[str, str] = field(repr=False)
    api: Any

    @property
    def address(self) -> str:
        """``host:port``, as ``PROXMOX_HOST`` takes it."""
        return self.ready["url"].removeprefix("https://")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that let a suite log in, and check the certificate."""
        return {
            "PROXMOX_USER": self.ready["user"],
            "PROXMOX_PASSWORD": self.ready["password"],
            "PROXMOX_VERIFY_SSL": self.ready["ca_file"],
        }

    def guests(self) -> list[int]:
        """Return the VMIDs of all guests, in order."""
        return sorted(guest["vmid"] for guest in self.api.cluster.resources.get(type="vm"))


@contextmanager
def serving(folder: Path, *options: str, world: str = "single") -> Iterator[Served]:
    """Yield a server that runs inside the block; ``folder`` takes its ready file."""
    ready_file = folder / "ready.json"
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--world", world, "--ready-file", ready_file, *options],
        stdout=subprocess.DEVNULL,
    )
    try:
        ready = json.loads(_text_once_there(ready_file, process))
        yield Served(ready, _client(ready))
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _client(ready: dict[str, str]) -> Any:
    host, port = ready["url"].removeprefix("https://").split(":")
    # a token, because a ticket ends after two hours, which a fast clock makes two minutes
    login = {
        "user": ready["user"],
        "token_name": ready["token_id"].partition("!")[2],
        "token_value": ready["token_secret"],
    }
    return ProxmoxAPI(host, port=port, verify_ssl=ready["ca_file"], timeout=30, **login)


def _text_once_there(ready_file: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the ready file's text; waiting for the process shows at once that it died."""
    for _ in range(START_TIMEOUT_S * 20):
        if ready_file.exists():
            return ready_file.read_text(encoding="utf-8")
        try:
            status = process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"pytest-proxmox serve ended with {status} before it was ready")
    raise TimeoutError(f"pytest-proxmox serve was not ready within {START_TIMEOUT_S} s")
