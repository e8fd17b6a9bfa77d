"""``pytest-proxmox order``: which test makes another one fail, by running ever fewer of them."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_proxmox.flaky.order import Pollution

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Find the test that makes another one fail (the polluter), and one that repairs it (the "
        "cleaner). Runs the tests in their order and, if nothing fails, in random ones, then "
        "ever fewer of them; xdist and reruns are off. Exits 1 when it finds something."
    )
    parser.add_argument("--victim", metavar="NODEID", help="explain this test only")
    parser.add_argument("--seed", type=int, help="begin with this random order (soak prints it)")
    parser.add_argument("pytest_args", nargs="*", metavar="PYTEST_ARGS", help="after --")


def run(args: argparse.Namespace) -> int:
    """Print what was found, and return 1 where a test fails."""
    from pytest_proxmox.errors import InvalidValue
    from pytest_proxmox.flaky.order import Search
    from pytest_proxmox.flaky.runs import PytestRunner

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    runner = PytestRunner(["-q", *args.pytest_args], alone=True, quiet=True)
    search = Search(runner, say=say)
    seen = search.failing_order(seed=args.seed, victim=args.victim)
    victims = seen.failed if args.victim is None else [args.victim]
    if args.victim is not None and args.victim not in seen.failed:
        raise InvalidValue(
            f"{args.victim} does not fail in the orders that were tried",
            origin="option --victim",
            hint="Give the --seed of a random order in which it fails; soak prints it",
        )
    if not victims:
        print(f"No test failed in {runner.count} orders of {len(seen.collected)} tests.")
        return 0
    for victim in victims:
        _show(search.explain(victim, seen), args.pytest_args)
    print(f"{runner.count} runs")
    return FAILED


def _show(found: Pollution, pytest_args: list[str]) -> None:
    print(f"victim    {found.victim}")
    if found.fails_alone:
        print("          fails alone too: no other test is to blame\n")
        return
    for polluter in found.polluters:
        print(f"polluter  {polluter}")
    if found.cleaner is not None:
        print(f"cleaner   {found.cleaner}")
    options = [arg for arg in pytest_args if arg.startswith("-")]
    command = shlex.join(["pytest", "-p", "no:randomly", *options, *found.reproducer])
    print(f"reproduce {command}\n")
