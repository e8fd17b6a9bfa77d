"""``pytest-proxmox gateway``: the guarding proxy in front of a PVE, for suites in any language."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_proxmox.cli import foreground
from pytest_proxmox.cli.target import ledger_folder, open_target, settings_here
from pytest_proxmox.errors import InvalidValue, ProxmoxTestError

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.gateway.gateway import Gateway
    from pytest_proxmox.gateway.server import Server
    from pytest_proxmox.sandbox.sandbox import Sandbox
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.facts import TargetFacts

FOUND = 1
GATEWAY_PORT = 8007


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Serve the Proxmox that PROXMOX_HOST names, guarded: give your app this address and login "
        "in its place. It may read everything and write to the guests that it makes, in the range "
        "of --vmid-range or PROXMOX_VMID_RANGE; all else is refused with 403. At the end its "
        "guests are removed. Ends with 1 where something was refused or is left."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=foreground.port,
        default=GATEWAY_PORT,
        help="0 picks one (default: %(default)s)",
    )
    parser.add_argument(
        "--clone-from",
        action="append",
        type=int,
        default=[],
        metavar="VMID",
        help="a foreign guest, such as a template, that may be cloned; may be repeated",
    )
    parser.add_argument("--record", type=Path, metavar="DIR", help="keep what is exchanged there")
    foreground.add_ready_file(parser)


def run(args: argparse.Namespace) -> int:
    """Guard until SIGINT, SIGTERM or SIGHUP, clean up, and return 1 where something is amiss."""
    stop = foreground.stop_event()
    foreground.clear(args.ready_file)
    settings = settings_here()
    with ExitStack() as stack:
        sandbox, gateway = _open(settings, args, stack)
        ready, leave = _serve(gateway, sandbox, args, stack)
        if args.ready_file is not None:
            foreground.write_atomically(args.ready_file, json.dumps(ready, indent=2) + "\n")
            stack.callback(args.ready_file.unlink, missing_ok=True)
        _print_banner(ready, sandbox)
        stop.wait()
        print("Cleaning up …", file=sys.stderr, flush=True)
        left = [*leave(), *map(str, sandbox.sweep_run())]
    return _verdict(gateway, left)


def _open(
    settings: Settings, args: argparse.Namespace, stack: ExitStack
) -> tuple[Sandbox, Gateway]:
    """The sandbox that the app's guests belong to, with its nets, and the gateway before it."""
    from pytest_proxmox.gateway.doors import gateway_for
    from pytest_proxmox.gateway.policy import Policy
    from pytest_proxmox.gateway.upstream import Recorded
    from pytest_proxmox.sandbox import nets, sweep
    from pytest_proxmox.target.forward import Forwarder

    calls, facts, endpoint = open_target(settings)
    sandbox = _sandbox(settings, calls, facts, stack)
    swept = sweep.collect(calls.api, facts, sandbox.ledger, pool=settings.pool)
    for leftover in swept.leftovers:
        print(f"left by an earlier run: {leftover}", file=sys.stderr)
    pool, grace_s = settings.pool, settings.reaper_grace
    stack.enter_context(nets.spread(sandbox.open(), endpoint, pool=pool, grace_s=grace_s))
    recorder = _recorder(args, endpoint, facts, sandbox)
    stack.callback(recorder.close)
    upstream = Recorded(Forwarder(endpoint, calls.api), recorder)
    policy = Policy(settings.vmid_range, frozenset(args.clone_from))
    return sandbox, gateway_for(sandbox, upstream, recorder, policy)


def _sandbox(settings: Settings, calls: Calls, facts: TargetFacts, stack: ExitStack) -> Sandbox:
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.run import Run
    from pytest_proxmox.sandbox.sandbox import Sandbox

    ledger = stack.enter_context(Ledger(ledger_folder()))
    run = Run.here(worker="gateway")
    return Sandbox(
        calls.api,
        facts,
        ledger,
        span=settings.vmid_range,
        run=run,
        pool=settings.pool,
        caps=settings.caps,
    )


def _recorder(
    args: argparse.Namespace, endpoint: Endpoint, facts: TargetFacts, sandbox: Sandbox
) -> Any:
    from pytest_proxmox.gateway.record import Recorder
    from pytest_proxmox.target.redaction import Redaction

    return Recorder(
        Redaction([endpoint.password, endpoint.token_value]),
        folder=args.record,
        worker="gateway",
        head={"run": sandbox.run.id, "url": facts.url, "span": str(sandbox.span)},
    )


def _serve(
    gateway: Gateway, sandbox: Sandbox, args: argparse.Namespace, stack: ExitStack
) -> tuple[dict[str, Any], Callable[[], list[str]]]:
    """Listen; what the ready file says, and what frees the app's guests."""
    from pytest_proxmox.gateway.control import Control
    from pytest_proxmox.gateway.server import Server
    from pytest_proxmox.simulator.wire import Answer, Request

    def release() -> list[str]:
        try:
            return [str(leftover) for leftover in gateway.keeper.release()]
        except ProxmoxTestError as exc:
            return [str(exc)]

    token = secrets.token_urlsafe(24)
    control = Control(gateway, token, release=release)

    def handle(request: Request) -> Answer:
        if control.owns(request.target):
            return control.handle(request)
        before = len(gateway.refusals())
        answer = gateway.handle(request)
        for refusal in gateway.refusals()[before:]:
            print(refusal, file=sys.stderr, flush=True)
        return answer

    server = Server(handle, host=args.host, port=args.port)
    try:
        stack.enter_context(server)
    except OSError as exc:
        raise InvalidValue(
            f"cannot listen on {args.host} port {args.port}: {exc.strerror or exc}",
            origin="options --host and --port",
            hint="Use --port 0 to pick a free one",
        ) from exc
    return _ready(server, gateway, sandbox.facts, token), release


def _ready(
    server: Server, gateway: Gateway, facts: TargetFacts, control_token: str
) -> dict[str, Any]:
    from pytest_proxmox.gateway.control import PREFIX

    keys = gateway.desk.keys
    return {
        "url": server.url,
        "user": keys.user,
        "password": keys.password,
        "token_id": keys.token_id,
        "token_secret": keys.token_value,
        "node": facts.node,
        "storage": facts.storage,
        "backup_storage": facts.backup_storage,
        "template": facts.template,
        "bridge": facts.bridge,
        "ca_file": str(server.ca_file),
        "control_url": server.url + PREFIX,
        "control_token": control_token,
    }


def _print_banner(ready: dict[str, Any], sandbox: Sandbox) -> None:
    print(f"Guarding {sandbox.facts.url} (PVE {sandbox.facts.version}) as {sandbox.facts.user}")
    print(f"  address  {ready['url']}")
    print(f"  login    {ready['user']}, password {ready['password']}")
    print(f"  token    {ready['token_id']}={ready['token_secret']}")
    print(f"  CA file  {ready['ca_file']}")
    print(f"  guests   {sandbox.span}; GET /cluster/nextid gives one that is leased")
    print("Ctrl-C stops it and removes what was made through it.", flush=True)


def _verdict(gateway: Gateway, left: list[str]) -> int:
    refused = gateway.refusals()
    if refused:
        print(f"{len(refused)} calls were refused.", file=sys.stderr)
    if left:
        print(json.dumps(left, indent=2))
    print(f"Stopped; {len(left)} left on the Proxmox.", file=sys.stderr)
    return FOUND if refused or left else 0
