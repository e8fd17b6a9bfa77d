"""The clean-up campaign: ``python -m benchmarks.cleanup_campaign --runs 10000 --seed 1``.

Random lives of one to three workers of one or two runs on an embedded Proxmox full of strangers'
guests, pools and volumes, each with one event at one API call. Afterwards nothing of ours may be
left, and nothing of the strangers' may have changed. ``--net`` switches all nets but one off.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

from benchmarks.campaign import case, kills
from benchmarks.campaign.case import ALL_NETS, Verdict
from benchmarks.campaign.events import EVENTS, Event
from benchmarks.campaign.plan import Plan, plan
from benchmarks.campaign.report import Report
from pytest_proxmox.sandbox.reaper import GRACE_S

PATIENT: Final = 20  # cases whose reapers wait as long as they do by default
PATIENT_EVERY: Final = 19 * 25  # among all cases, the first of which is a SIGKILL
ALONE: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "finalizer": (("finalizer",), ("test fails", "Ctrl-C")),
    "session end": (("session end",), ("test fails", "Ctrl-C")),
    "signals": (("signals", "finalizer", "session end"), ("SIGTERM", "SIGHUP")),
    "reaper": (("reaper",), ("process dies", "SIGKILL", "os._exit")),
    "next run": (("next run",), ("machine lost",)),
}
"""For each net: which are switched on for it to be alone, and the events that it is there for."""


def events_for(net: str | None, *, virtual_only: bool = False) -> tuple[Event, ...]:
    """Return the events of a campaign: all, or those that one net is there for."""
    names = ALONE[net][1] if net is not None else tuple(event.name for event in EVENTS)
    return tuple(
        event
        for event in EVENTS
        if event.name in names and not (virtual_only and event.sort == "kill")
    )


def play(one: Plan, net: str | None = None) -> Verdict:
    """Return the verdict on one case; a lane whose campaign was killed ends here."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)
    if one.event.sort != "kill":
        return case.play(one, ALONE[net][0] if net is not None else ALL_NETS)
    is_patient = one.number % PATIENT_EVERY < len(EVENTS) and one.number < PATIENT * PATIENT_EVERY
    return kills.play(
        one,
        _forkserver(),
        grace_s=GRACE_S if is_patient and one.event.name == "SIGKILL" else kills.GRACE_S,
        reapers=net == "reaper" or one.event.name == "SIGKILL",
    )


@cache
def _forkserver() -> ForkServerContext:
    return kills.forkserver()


def main_with(args: argparse.Namespace) -> int:
    """Run the campaign that the arguments ask for; 1 where something was wrong."""
    events = events_for(args.net, virtual_only=args.no_kills)
    report = Report.load(args.journal, events)
    for verdict in _verdicts(args, events):
        report.add(verdict)
        if verdict.wrong:
            print(f"WRONG {report.told[-1]}", flush=True)
        if report.cases % 250 == 0:
            print(f"{report.cases} cases, {len(report.told)} wrong", file=sys.stderr, flush=True)
            if args.journal is not None:  # whoever stops it loses little
                report.save(args.journal)
    if args.journal is not None:
        report.save(args.journal)
    print(report.render())
    return 1 if report.told else 0


def _verdicts(args: argparse.Namespace, events: tuple[Event, ...]) -> Iterator[Verdict]:
    """The verdicts of as many cases as were asked for.

    Where one net is alone, what happens in the middle of that very net is not its event.
    """
    numbers = itertools.count(args.first) if args.only is None else iter(args.only)
    wanted = args.runs if args.only is None else len(args.only)
    counted = (
        verdict
        for verdict in _played(args, events, numbers)
        if args.net is None or (verdict.has_fired and not verdict.in_clean_up)
    )
    yield from itertools.islice(counted, wanted)


def _played(
    args: argparse.Namespace, events: tuple[Event, ...], numbers: Iterator[int]
) -> Iterator[Verdict]:
    with ProcessPoolExecutor(args.lanes, mp_context=get_context("spawn")) as pool:
        while batch := [plan(args.seed, n, events) for n in itertools.islice(numbers, 100)]:
            yield from pool.map(partial(play, net=args.net), batch, chunksize=1)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(prog="cleanup_campaign", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="CASE", help="begin with this one")
    parser.add_argument("--journal", type=Path, help="go on with, and add to, the report in here")
    parser.add_argument("--lanes", type=int, default=2, help="cases at a time")
    parser.add_argument("--net", choices=ALONE, help="with this net alone")
    parser.add_argument("--no-kills", action="store_true", help="no real processes: faster")
    parser.add_argument("--only", type=int, nargs="+", metavar="CASE", help="play these again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main_with(parse(sys.argv[1:])))
