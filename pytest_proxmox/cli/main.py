"""The command ``pytest-proxmox``: finds the subcommand's module and lets it run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from pytest_proxmox import __version__
from pytest_proxmox.errors import ProxmoxTestError, UserMistake

FAILED = 1
BAD_INPUT = 2

COMMANDS = {
    "init": "write the ini settings, the example of .env.test and the CI workflow of a project",
    "serve": "serve the embedded Proxmox over HTTPS until it is told to stop",
    "schema": "print the JSON Schema of a file or of the control plane, for editors and clients",
    "coverage": "say which API methods the embedded Proxmox has, and which the last run used",
    "doctor": "check that tests can run: the Proxmox, its rights, this machine",
    "setup": "make the pool, role, user and token that the sandbox needs on a real Proxmox",
    "leases": "list what tests hold, on this machine and on the Proxmox",
    "sweep": "remove what dead runs left",
    "gateway": "guard a Proxmox: an app under test may write to the guests it makes only",
    "compare": "ask a Proxmox and the embedded one the same, and list where the answers differ",
    "soak": "repeat a whole run, and say what flake rate the repetitions rule out",
    "order": "find the test that makes another one fail",
    "report": "build the dashboard and the Markdown reports from the history of runs",
    "completion": "print what makes bash, zsh or fish complete this command",
}


class Command(Protocol):
    """What each module of this package offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own flags."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit status."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: what is wrong, not how everything works."""

    def error(self, message: str) -> NoReturn:
        """End with exit status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 for findings, 2 for bad input."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = parser_for(given)
    args = parser.parse_args(given)
    if args.command is None:
        parser.print_help()
        return BAD_INPUT
    try:
        return _command(args.command).run(args)
    except UserMistake as exc:
        print(f"{parser.prog} {args.command}: {exc}", file=sys.stderr)
        return BAD_INPUT
    except ProxmoxTestError as exc:
        print(f"{parser.prog} {args.command}: {exc}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130  # what a shell reports for Ctrl-C
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit flushes again
        return 141  # what a shell reports for a reader that left, e.g. head


def parser_for(given: Sequence[str]) -> Parser:
    """Return the parser; only the modules of the commands in ``given`` are imported."""
    parser = Parser(
        prog="pytest-proxmox",
        description="Test software for Proxmox VE against an embedded or a real one.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands: Any = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name in given:
            _command(name).add_arguments(sub)
    return parser


def _command(name: str) -> Command:
    return cast(Command, import_module(f"pytest_proxmox.cli.{name}"))
