"""``pytest-proxmox init``: the files that a project needs to start with the plugin."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_proxmox.cli import table
from pytest_proxmox.errors import InvalidValue

if TYPE_CHECKING:
    from pytest_proxmox.cli.project import Part

CI: Final = ("github", "gitlab", "none")
COLUMNS: Final = ("file", "")
DONE: Final = {
    "make": "made",
    "add": "added to",
    "keep": "left as it is; it lacks what stands below",
    "there": "was there",
}
PLANNED: Final = {**DONE, "make": "would be made", "add": "would be added to"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Write the settings of pytest (into pyproject.toml or the ini file that the project has), "
        ".env.test.example, the line of .gitignore that keeps .env.test out of git, and a CI "
        "workflow. What is there is never changed: init says what it left, and what that lacks."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        help="the project's root folder (default: this one)",
    )
    parser.add_argument(
        "--ci",
        choices=CI,
        default="github",
        metavar="|".join(CI),
        help="whose workflow (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write nothing; show what would be written"
    )


def run(args: argparse.Namespace) -> int:
    """Write what is missing, and return 0."""
    from pytest_proxmox.cli import project

    folder: Path = args.folder
    if not folder.is_dir():
        raise InvalidValue(f'"{folder}" is no folder', origin="argument FOLDER", hint="Make it")
    parts = project.look(folder, ci=None if args.ci == "none" else args.ci)
    if not args.dry_run:
        for part in parts:
            if part.state in ("make", "add"):
                project.write(folder, part)
    _tell(parts, dry_run=args.dry_run)
    return 0


def _tell(parts: list[Part], *, dry_run: bool) -> None:
    words = PLANNED if dry_run else DONE
    table.show(COLUMNS, [(part.path, words[part.state]) for part in parts])
    shown = [part for part in parts if part.state == "keep" or (dry_run and part.text)]
    for part in shown:
        print(f"\n{part.path}:")
        for line in part.text.strip("\n").splitlines():
            print(f"  {line}".rstrip())
    if not dry_run:
        print("\nNow write a test that takes the fixture lxc, and run: pytest")
