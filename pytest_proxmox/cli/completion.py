"""``pytest-proxmox completion``: what makes a shell complete this command."""

from __future__ import annotations

import argparse
from typing import Final

NAMES: Final = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Print a script that makes a shell complete commands, flags, their values and files. "
        'bash: eval "$(pytest-proxmox completion bash)" in .bashrc. zsh: write it to '
        "_pytest-proxmox in a folder of $fpath. fish: write it to "
        "pytest-proxmox.fish in .config/fish/completions."
    )
    parser.add_argument("shell", choices=NAMES, metavar="|".join(NAMES), help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print it, and return 0."""
    from pytest_proxmox.cli import vocabulary
    from pytest_proxmox.cli.main import COMMANDS, parser_for
    from pytest_proxmox.cli.shells import SHELLS

    parser = parser_for(list(COMMANDS))
    script = SHELLS[args.shell](list(vocabulary.entries(parser)), vocabulary.flags_of(parser))
    print(script, end="")
    return 0
