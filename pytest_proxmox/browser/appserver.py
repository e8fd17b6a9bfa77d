"""The app under test, in a process of its own: started, healthy, and gone with the run."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from pytest_proxmox.clock import Clock, SystemClock
from pytest_proxmox.errors import AppNotHealthy, MissingExtra, UserMistake

HOST = "127.0.0.1"
_ASGI = re.compile(r"(?P<target>[A-Za-z_][\w.]*:[A-Za-z_][\w.]*)(?P<factory>\(\))?")
_RUNNER = "pytest_proxmox.browser.apprunner"
_POLL_S = 0.05
_STOP_S = 10.0  # uvicorn waits for its last answers
_TAIL = 20
# uvicorn's own 5 s end a connection just as a page, after a pause, asks for something by it
_KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What to start: ``target`` as the ini key spells it, what it gets, when it is healthy.

    ``target`` is ``pkg.mod:app``, ``pkg.mod:create_app()`` or a command with ``{port}``.
    """

    target: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = field(default_factory=Path)
    health_path: str = "/health"
    timeout_s: float = 30.0

    @property
    def is_command(self) -> bool:
        """Whether a program is started, and not an ASGI app."""
        return _ASGI.fullmatch(self.target) is None

    def arguments(self, port: int) -> list[str]:
        """Return the program and its arguments; an ASGI app inherits its listening socket.

        Raises:
            UserMistake: a command that is not told its port, or nothing to serve an ASGI app with.
        """
        match = _ASGI.fullmatch(self.target)
        if match is not None:
            if find_spec("uvicorn") is None:
                raise MissingExtra.for_feature("app_server for an ASGI app", extra="e2e")
            options = [f"--timeout-keep-alive={_KEEP_ALIVE_S}"]
            options += ["--factory"] if match["factory"] else []
            return [sys.executable, "-m", "uvicorn", match["target"], *options]
        if "{port}" not in self.target:
            raise UserMistake(
                f'the command "{self.target}" is not told its port',
                origin="ini key app_server",
                hint="Write {port} where it goes, e.g. python -m shop --port {port}",
            )
        names = {"port": str(port), "host": HOST, "python": sys.executable}
        return [part.format(**names) for part in shlex.split(self.target)]


class AppServer:
    """A running app: ``url``, its log, its process."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
        self._process = process
        self.url = url
        self.log_file = log_file

    @property
    def pid(self) -> int:
        """The process that watches over the app and ends with it."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def log_tail(self, lines: int = _TAIL, *, since: int = 0) -> list[str]:
        """Return the latest lines of its log, those after the first ``since`` bytes."""
        content = self.log_file.read_bytes()[since:]
        return content.decode("utf-8", "replace").splitlines()[-lines:]

    def log_size(self) -> int:
        """Return the log's size in bytes: where the next line will begin."""
        return self.log_file.stat().st_size


@contextmanager
def running(spec: AppSpec, *, log_file: Path, clock: Clock | None = None) -> Iterator[AppServer]:
    """The app, healthy; at the end it is told to stop, and killed if it does not.

    Raises:
        AppNotHealthy: it ended, or did not answer in its time; with its log.
    """
    with closing(socket.create_server((HOST, 0))) as listener:
        port = listener.getsockname()[1]
        inherited: Sequence[int] = (listener.fileno(),)
        if spec.is_command:
            listener.close()  # a command opens its port itself
            inherited = ()
        with _watched(spec.arguments(port), spec, inherited, log_file) as process:
            listener.close()
            server = AppServer(process, f"http://{HOST}:{port}", log_file)
            _wait_until_healthy(server, spec, port, clock or SystemClock())
            yield server


@contextmanager
def _watched(
    arguments: list[str], spec: AppSpec, inherited: Sequence[int], log_file: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The app below a runner, which ends it when this process is gone, however it went."""
    alive, held = os.pipe()
    fds = [f"--fd={fd}" for fd in inherited]
    handed = [str(fd) for fd in (alive, *inherited)]
    try:
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", _RUNNER, ",".join(handed), *arguments, *fds],
                cwd=spec.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.env},
                pass_fds=(alive, *inherited),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is pytest's to handle, and ours to pass on
            )
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(alive)
    try:
        yield process
    finally:
        os.close(held)
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_healthy(server: AppServer, spec: AppSpec, port: int, clock: Clock) -> None:
    deadline = clock.monotonic() + spec.timeout_s
    said = "no answer"
    while clock.monotonic() < deadline:
        if not server.is_running:
            raise AppNotHealthy(
                f'the app "{spec.target}" ended before it was healthy',
                origin="ini key app_server",
                log_tail=server.log_tail(),
                hint="Mend what its log says, or name another start in the ini key app_server; "
                "app_server_env gives it variables",
            )
        said = _health(port, spec.health_path)
        if said == "":
            return
        clock.sleep(_POLL_S)
    raise AppNotHealthy(
        f'the app "{spec.target}" was not healthy within {spec.timeout_s:g} s: '
        f"GET {spec.health_path} gave {said}",
        origin="ini keys app_server, app_server_health",
        log_tail=server.log_tail(),
        hint="Name a path that answers with success in app_server_health, or give it more "
        "seconds with app_server_timeout",
    )


def _health(port: int, path: str) -> str:
    """Return what is wrong, nothing where the app answers with success."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as exc:
        return str(exc) or type(exc).__name__
    finally:
        connection.close()
    return "" if 200 <= status < 400 else str(status)
