"""``pytest-proxmox schema``: the JSON Schemas of the files and of the control plane."""

from __future__ import annotations

import argparse
import json
from typing import Final

NAMES: Final = {
    "world": "a world file: serve --world, --proxmox-world",
    "state": "a state: serve --state, GET /state and PUT /state",
    "ready": "the ready file of serve and gateway",
    "control": 'an exchange on the control plane: {"call": "POST /clock", "request", "answer"}',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Print a JSON Schema (draft 2020-12), made from the code that reads and writes the "
        "document. Without a name: say which there are."
    )
    parser.add_argument(
        "name", nargs="?", choices=list(NAMES), metavar="|".join(NAMES), help="which one"
    )


def run(args: argparse.Namespace) -> int:
    """Print it, and return 0."""
    from pytest_proxmox.simulator.documents import SCHEMAS

    if args.name is None:
        from pytest_proxmox.cli import table

        table.show(("name", "of"), list(NAMES.items()))
    else:
        print(json.dumps(SCHEMAS[args.name](), indent=2))
    return 0
