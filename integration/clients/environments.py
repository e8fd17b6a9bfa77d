"""Virtual environments for clients that must not share the project's own, made on first use."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import venv
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "clients"
ANSIBLE = ("ansible>=12,<13", "proxmoxer>=2.2", "requests>=2.31")
INSTALL_TIMEOUT_S = 600.0  # Ansible took 80 s with an empty pip cache, and 550 MB


class Unavailable(Exception):
    """A client could not be installed; the text says which and why."""


def python_with(name: str, *requirements: str) -> Path:
    """Return the Python of an environment with these packages, made where there is none yet.

    Several test processes may ask at once: one makes it, the others wait.

    Raises:
        Unavailable: the packages cannot be installed here.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / name
    stamp = folder / "installed.txt"
    wanted = "\n".join(requirements)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            _install(folder, requirements)
            stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin" / "python"


def _install(folder: Path, requirements: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "-q", "install", *requirements]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"{requirements} not installed within {exc.timeout:.0f} s") from exc
    except subprocess.CalledProcessError as exc:
        last = exc.stderr.strip().rpartition("\n")[2]
        raise Unavailable(f"{requirements} cannot be installed: {last}") from exc
