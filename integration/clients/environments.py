"""Environments for clients that must not share the project's own, made on first use."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "clients"
ANSIBLE = ("ansible>=12,<13", "proxmoxer>=2.2", "requests>=2.31")
INSTALL_TIMEOUT_S = 600.0  # Ansible took 80 s with an empty pip cache, and 550 MB


Install = Callable[[Path, tuple[str, ...]], None]


class Unavailable(Exception):
    """A client could not be installed; the text says which and why."""


def python_with(name: str, *requirements: str) -> Path:
    """Return the Python of an environment with these packages, made where there is none yet.

    Several test processes may ask at once: one makes it, the others wait.

    Raises:
        Unavailable: the packages cannot be installed here.
    """
    return _made(name, requirements, _install_python) / "bin" / "python"


def node_modules_with(name: str, *requirements: str) -> Path:
    """Return a ``node_modules`` folder with these packages, made where there is none yet.

    Raises:
        Unavailable: there is no npm, or the packages cannot be installed here.
    """
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed")
    return _made(name, requirements, _install_node) / "node_modules"


def _made(name: str, requirements: tuple[str, ...], install: Install) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / name
    stamp = folder / "installed.txt"
    wanted = "\n".join(requirements)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            install(folder, requirements)
            stamp.write_text(wanted, encoding="utf-8")
    return folder


def _install_node(folder: Path, requirements: tuple[str, ...]) -> None:
    folder.mkdir()
    _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", *requirements])


def _install_python(folder: Path, requirements: tuple[str, ...]) -> None:
    venv.create(folder, with_pip=True)
    _run([str(folder / "bin" / "python"), "-m", "pip", "-q", "install", *requirements])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"{command[-1]} not installed within {exc.timeout:.0f} s") from exc
    except subprocess.CalledProcessError as exc:
        last = exc.stderr.strip().rpartition("\n")[2]
        raise Unavailable(f"{command[-1]} cannot be installed: {last}") from exc
