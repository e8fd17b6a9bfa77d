"""The project's own files as the house rules see them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Documented = FunctionNode | ast.ClassDef


@dataclass(frozen=True)
class Offence:
    """One place where a rule is broken; ``what`` says how."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the project's root, with ``/``, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The top folder, ``""`` for a file at the root."""
        parts = PurePosixPath(self.path).parts
        return parts[0] if len(parts) > 1 else ""

    def offence(self, line: int, what: str) -> Offence:
        """Return the offence at ``line`` of this file."""
        return Offence(self.path, line, what)

    def definitions(self) -> Iterator[tuple[str, Documented]]:
        """Yield each function and class with its dotted name, nested ones too."""
        yield from _definitions(self.tree, "")


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Documented]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented):
            name = f"{prefix}{child.name}"
            yield name, child
            yield from _definitions(child, f"{name}.")
        else:
            yield from _definitions(child, prefix)


@cache
def project_files() -> tuple[str, ...]:
    """Return the path of each file that git knows or would add, sorted.

    Without git (an unpacked release), every file outside hidden and build folders.
    """
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
    else:
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
        names = [name for name in names if not _is_made(PurePosixPath(name))]
    return tuple(sorted({name for name in names if name and (ROOT / name).is_file()}))


def _is_made(path: PurePosixPath) -> bool:
    return any(part in ("build", "dist") or part.startswith(".") for part in path.parts[:-1])


@cache
def project_sources() -> tuple[Source, ...]:
    """Return each Python file of the project, in the order of their paths."""
    return tuple(
        Source(name, (ROOT / name).read_text(encoding="utf-8"))
        for name in project_files()
        if name.endswith(".py")
    )
