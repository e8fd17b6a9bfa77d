"""Generated files: written whole or not at all, and only where something changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from src_app.domain.errors import AppManagerError

MARK = "Made from the workspace's database; the next export writes it anew."


class NotOurs(AppManagerError):
    """A file is in the way that no export made."""

    code = "file_in_the_way"


@dataclass(frozen=True, slots=True)
class Written:
    """What an export did, by the files' names."""

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()


def write(folder: Path, files: Mapping[str, str]) -> Written:
    """Return what was written. Files of earlier exports that are no longer made are removed.

    Only files that bear the mark are removed or replaced: what somebody wrote stays.

    Raises:
        NotOurs: a file of that name is there and was not made by an export.
    """
    done = difference(folder, files)
    for name in done.changed:
        replace(folder / name, files[name])
    for name in done.removed:
        (folder / name).unlink()
    return done


def exported(folder: Path) -> bool:
    """Return whether an export wrote into that folder."""
    return bool(_marked(folder))


def difference(folder: Path, files: Mapping[str, str]) -> Written:
    """Return what an export would do; nothing is written.

    Raises:
        NotOurs: as ``write`` does.
    """
    old = _marked(folder)
    for name in files:
        if (folder / name).exists() and name not in old:
            raise NotOurs(
                f'"{folder / name}" was not made by an export, or its first line was changed. '
                "Move it away, or export to another folder."
            )
    changed = sorted(name for name, text in files.items() if old.get(name) != text)
    removed = sorted(set(old) - set(files))
    return Written(tuple(changed), tuple(removed), tuple(sorted(set(files) - set(changed))))


def replace(path: Path, text: str) -> None:
    """Write ``path`` so that a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _marked(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-2:]):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if MARK in text[:200]:
                found[path.relative_to(folder).as_posix()] = text
    return found
