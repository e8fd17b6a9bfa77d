"""``pytest-proxmox serve``: the embedded Proxmox for suites in any language."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pytest_proxmox.cli import foreground
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import CLOCKS, DEFAULT_PORT

if TYPE_CHECKING:
    from pytest_proxmox.simulator.server import Server
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.target.facts import TargetFacts

LOOPBACK = ("127.", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=foreground.port,
        default=DEFAULT_PORT,
        help="port, 0 picks one (default: %(default)s)",
    )
    parser.add_argument(
        "--world",
        default="single",
        metavar="single|cluster|FILE",
        help="a preset or a world file (default: %(default)s)",
    )
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="on-poll",
        metavar="|".join(CLOCKS),
        help="when tasks end (default: %(default)s)",
    )
    scale_help = "with --clock real, so many times faster (default: 1)"
    parser.add_argument("--scale", type=_scale, default=1.0, metavar="X", help=scale_help)
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep the state there over restarts; the world is for the first start only",
    )
    foreground.add_ready_file(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, and return 0."""
    from pytest_proxmox.simulator.server import Server
    from pytest_proxmox.simulator.simulator import Simulator
    from pytest_proxmox.simulator.world import World

    stop = foreground.stop_event()
    ready_file: Path | None = args.ready_file
    foreground.clear(ready_file)
    world = World.named(args.world, origin="option --world")
    simulator = Simulator(world, clock=args.clock, scale=args.scale)
    simulator.tasks.defers = True  # nobody sees it but through the server
    autosave = _restored(simulator, args.state)
    server = Server(simulator, host=args.host, port=args.port)
    _listen(server, args)
    gc.freeze()  # what lives from here to the end need not be looked through again and again
    try:
        facts = _facts(simulator, server.url)
        if ready_file is not None:
            foreground.write_atomically(
                ready_file, json.dumps(_ready(server, facts), indent=2) + "\n"
            )
        _print_banner(server, facts, args)
        with autosave:
            stop.wait()
    finally:
        server.stop()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    print("Stopped.")
    return 0


def _restored(simulator: Simulator, path: Path | None) -> contextlib.AbstractContextManager[object]:
    """Load the state file, if one was named, and return what keeps it up to date."""
    from pytest_proxmox.simulator.saved import Autosave, StateFile

    if path is None:
        return contextlib.nullcontext()
    if not path.parent.is_dir():
        raise InvalidValue(
            f'"{path.parent}" is no folder', origin="option --state", hint="Make it first"
        )
    file = StateFile(path)
    file.restore_into(simulator)
    return Autosave(simulator, file)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 0 < scale < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
    return scale


def _listen(server: Server, args: argparse.Namespace) -> None:
    try:
        server.start()
    except OSError as exc:
        raise InvalidValue(
            f"cannot listen on {args.host} port {args.port}: {exc.strerror or exc}",
            origin="options --host and --port",
            hint="Use --port 0 to pick a free one",
        ) from exc


def _ready(server: Server, facts: TargetFacts) -> dict[str, Any]:
    login = server.simulator.credentials
    return {
        "url": server.url,
        "user": login.user,
        "password": login.password,
        "token_id": login.token_id,
        "token_secret": login.token_secret,
        "node": facts.node,
        "storage": facts.storage,
        "backup_storage": facts.backup_storage,
        "template": facts.template,
        "bridge": facts.bridge,
        "ca_file": str(server.ca_file),
        "control_url": server.control_url,
        "control_token": server.control_token,
    }


def _print_banner(server: Server, facts: TargetFacts, args: argparse.Namespace) -> None:
    login = server.simulator.credentials
    print(f"Proxmox VE {facts.version}, embedded: world {args.world}, clock {args.clock}")
    print(f"  address  {server.url}")
    print(f"  login    {login.user}, password {login.password}")
    print(f"  CA file  {server.ca_file}")
    if not args.host.startswith(LOOPBACK):
        print("Anyone who can reach this address can log in: use it in a trusted network only.")
    print("Ctrl-C stops it.", flush=True)


def _facts(simulator: Simulator, url: str) -> TargetFacts:
    """What the world offers, found as on any target, but without a client library."""
    from pytest_proxmox.clock import SystemClock
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.facts import discover

    calls = Calls(_Api(simulator), SystemClock())
    return discover(calls, kind="simulator", url=url, user=simulator.credentials.user)


class _Api:
    """The simulator's own API as ``target`` wants one."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __call__(self, path: str, /) -> Any:
        return _Resource(self._simulator, f"/api2/json/{path}")


class _Resource:
    def __init__(self, simulator: Simulator, path: str) -> None:
        self._simulator = simulator
        self._path = path

    def get(self, **params: Any) -> Any:
        """Return the ``data`` of a GET."""
        from pytest_proxmox.simulator.wire import Request

        login = self._simulator.credentials
        headers = {"authorization": f"PVEAPIToken={login.token_id}={login.token_secret}"}
        target = f"{self._path}?{urlencode(params)}" if params else self._path
        answer = self._simulator.handle(Request("GET", target, headers))
        if answer.status != 200:
            raise RuntimeError(f"GET {self._path}: {answer.status} {answer.reason}")
        return json.loads(answer.body)["data"]
