"""``pytest-proxmox compare``: where the embedded Proxmox answers otherwise than a given one."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_proxmox.cli.contract import SCRIPTS, Script
from pytest_proxmox.cli.target import ledger_folder, open_target, settings_here
from pytest_proxmox.errors import InvalidValue

if TYPE_CHECKING:
    from pytest_proxmox.cli.comparison import Difference, Side
    from pytest_proxmox.cli.twin import Likeness
    from pytest_proxmox.config import Settings
    from pytest_proxmox.sandbox.sandbox import Sandbox
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.facts import TargetFacts

FOUND = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Ask the Proxmox that PROXMOX_HOST or PROXMOX_TARGET names, and an embedded one with the "
        "same node, storages and rights, the same calls; list where the embedded one answers "
        "otherwise. Guests are made under leased VMIDs only, and removed, also after Ctrl-C. "
        "Ends with 1 where something differs or is left."
    )
    parser.add_argument(
        "script", nargs="*", help="only these (default: all): " + ", ".join(map(_short, SCRIPTS))
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def _short(script: Script) -> str:
    return script.name.replace(" ", "-")


def run(args: argparse.Namespace) -> int:
    """Compare, clean up, and return 1 where something differs or is left, else 0."""
    scripts = _chosen(args.script)
    settings = settings_here()
    with ExitStack() as stack:
        opened = _Comparing(settings, stack)
        differences: list[Difference] = []
        left: list[str] = []
        try:
            with stoppable() as stop_if_asked:
                for script in opened.possible(scripts):
                    differences += opened.differences(script)
                    stop_if_asked()
        finally:
            left += [str(leftover) for leftover in opened.sandbox.sweep_run()]
            for one in left:  # also where the comparison itself does not end well
                print(f"left on the Proxmox: {one}", file=sys.stderr)
    _tell(differences, left, opened, args)
    return FOUND if differences or left else 0


def _chosen(names: list[str]) -> list[Script]:
    known = {_short(script): script for script in SCRIPTS}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise InvalidValue(
            f'there is no script "{unknown[0]}"',
            origin="argument SCRIPT",
            hint=f"There are {', '.join(known)}",
        )
    return [known[name] for name in names or known]


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """SIGTERM and SIGHUP end what is inside like Ctrl-C does; what follows cleans up.

    Yields a function that ends it where that was asked for and did not happen: Python drops an
    exception that a signal raises in an object's finaliser.
    """
    from pytest_proxmox.sandbox.signals import NAMES, SignalNet

    def stop(number: signal.Signals) -> None:
        raise KeyboardInterrupt(number.name)

    def stop_if_asked() -> None:
        if net.caught is not None:
            stop(net.caught)

    with SignalNet(stop, names=(*NAMES, "SIGINT")) as net:
        yield stop_if_asked


class _Comparing:
    """A sandbox on the node with its nets, and what its twin is made from."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        from pytest_proxmox.cli import twin
        from pytest_proxmox.sandbox import nets, sweep
        from pytest_proxmox.target.forward import Forwarder

        calls, facts, endpoint = open_target(settings)
        self.facts: TargetFacts = facts
        self.sandbox = _sandbox(settings, calls, facts, stack)
        self.skipped: dict[str, str] = {}
        self.steps = 0
        self._calls: Calls = calls
        swept = sweep.collect(calls.api, facts, self.sandbox.ledger, pool=settings.pool)
        for leftover in swept.leftovers:
            print(f"left by an earlier run: {leftover}", file=sys.stderr)
        self._forward = Forwarder(endpoint, calls.api)
        stack.callback(self._forward.close)
        self._likeness: Likeness = twin.look(calls, facts)
        pool, grace_s = settings.pool, settings.reaper_grace
        stack.enter_context(nets.spread(self.sandbox.open(), endpoint, pool=pool, grace_s=grace_s))

    def possible(self, scripts: list[Script]) -> Iterator[Script]:
        """Yield the scripts that this node has everything for."""
        for script in scripts:
            lacking = [need for need in script.needs if getattr(self.facts, need) is None]
            if lacking:
                self.skipped[script.name] = f"the node has no {lacking[0].replace('_', ' ')}"
            else:
                yield script

    def differences(self, script: Script) -> list[Difference]:
        """Return where the two differ in one script; its guests are gone afterwards."""
        from pytest_proxmox.cli import comparison, twin
        from pytest_proxmox.clock import SystemClock

        self.steps += len(script.steps)
        names = self._names()
        pools = _with_parents(names["pool"], names["second_pool"])
        node = comparison.Side(self._forward, self._calls.api, SystemClock(), dict(names))
        with twin.running(self._likeness.world(pools), self.facts.user) as endpoint:
            found = list(comparison.compare(script, node, _side(endpoint, names), tell=_progress))
        _progress("")
        self.sandbox.close()
        return found

    def _names(self) -> dict[str, str]:
        """What the scripts' placeholders stand for; the VMIDs are leased."""
        first, second = self.sandbox.vmid(), self.sandbox.vmid()
        return {
            "node": self.facts.node,
            "storage": self.facts.storage,
            "backup_storage": self.facts.backup_storage or "",
            "template": self.facts.template or "",
            "vmid": str(int(first)),
            "second": str(int(second)),
            "pool": self.sandbox.pool_of(first) or "",
            "second_pool": self.sandbox.pool_of(second) or "",
        }


def _side(endpoint: Endpoint, names: dict[str, str]) -> Side:
    """The twin's side."""
    from pytest_proxmox.cli.comparison import Side
    from pytest_proxmox.clock import SystemClock
    from pytest_proxmox.target.forward import Forwarder
    from pytest_proxmox.target.session import connect

    api = connect(endpoint)
    return Side(Forwarder(endpoint, api), api, SystemClock(), dict(names))


def _with_parents(*pools: str) -> frozenset[str]:
    parts = [pool.split("/") for pool in pools if pool]
    return frozenset("/".join(one[:n]) for one in parts for n in range(1, len(one) + 1))


def _sandbox(settings: Settings, calls: Calls, facts: TargetFacts, stack: ExitStack) -> Sandbox:
    from pytest_proxmox.sandbox.ledger import Ledger
    from pytest_proxmox.sandbox.run import Run
    from pytest_proxmox.sandbox.sandbox import Sandbox

    ledger = stack.enter_context(Ledger(ledger_folder()))
    run, span = Run.here(worker="compare"), settings.vmid_range
    return Sandbox(calls.api, facts, ledger, span=span, run=run, pool=settings.pool)


def _progress(what: str) -> None:
    """Show somebody at a terminal what is being asked, in a line that goes away."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _tell(
    differences: list[Difference], left: list[str], done: _Comparing, args: argparse.Namespace
) -> None:
    if args.json:
        document: dict[str, Any] = {
            "url": done.facts.url,
            "version": done.facts.version,
            "steps": done.steps,
            "differences": [asdict(one) for one in differences],
            "skipped": done.skipped,
            "left": left,
        }
        print(json.dumps(document, indent=2))
        return
    if differences:
        print('What the embedded one answers, "for" what the Proxmox does:')
    for one in differences:
        print(f"{one.script}: {one.step}\n  {one.call}\n  {one.depth}: {one.what}")
    for name, why in done.skipped.items():
        print(f"{name}: not compared, {why}")
    told = {0: "No difference", 1: "1 difference"}
    verdict = told.get(len(differences), f"{len(differences)} differences")
    print(f"{verdict} in {done.steps} calls of {done.facts.url} (PVE {done.facts.version}).")
