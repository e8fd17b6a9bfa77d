"""The file ``.env.test`` in the root folder: settings that belong to one machine, not to git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_proxmox.options import ENV_FILE

if TYPE_CHECKING:
    from pytest_proxmox.errors import UserMistake

PREFIX = "PROXMOX_"  # other names are another tool's business

_LINE = r"(export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<rest>.*)"
_QUOTED = r"""(?P<quote>['"])(?P<text>.*?)(?<!\\)(?P=quote)\s*(#.*)?"""


def parse(text: str, *, origin: str = ENV_FILE) -> dict[str, str]:
    """Return the variables of ``KEY=VALUE`` lines, the last one of a name winning.

    A line may start with ``export``, a value may be in quotes; ``#`` starts a comment at
    the start of a line or after a space. Nothing is expanded.

    Raises:
        InvalidValue: a line is none of that; the message gives its number, never its text.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = re.fullmatch(_LINE, bare)
        value = None if match is None else _value(match["rest"])
        if match is None or value is None:
            raise _mistake(
                "the line is not KEY=VALUE",
                origin=f"{origin}, line {number}",
                hint="Quote a value that starts with a quote or holds #",
            )
        values[match["name"]] = value
    return values


def _mistake(what: str, *, origin: str, hint: str) -> UserMistake:
    from pytest_proxmox.errors import InvalidValue  # most runs have no such file

    return InvalidValue(what, origin=origin, hint=hint)


def _value(rest: str) -> str | None:
    if rest[:1] not in ("'", '"'):
        return re.split(r"(?:^|\s+)#", rest, maxsplit=1)[0].rstrip()
    match = re.fullmatch(_QUOTED, rest)
    if match is None:
        return None
    return re.sub(r"\\([\\\"])", r"\1", match["text"]) if match["quote"] == '"' else match["text"]


def read(root: Path) -> dict[str, str]:
    """Return the ``PROXMOX_*`` variables of ``root``'s file, none where there is no file.

    Raises:
        InvalidValue: the file cannot be read, or a line of it cannot.
    """
    path = root / ENV_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        problem = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise _mistake(
            f"{ENV_FILE} cannot be read: {problem}", origin=str(path), hint="Mend or remove it"
        ) from exc
    values = parse(text)
    return {name: value for name, value in values.items() if name.startswith(PREFIX)}


def is_tracked(root: Path) -> bool:
    """Return whether git tracks ``root``'s file; False where git cannot tell."""
    if not (root / ENV_FILE).is_file():
        return False
    command = ["git", "-C", str(root), "ls-files", "--error-unmatch", "--", ENV_FILE]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False  # no git, or one that hangs: nothing is known, and a run must go on
    return done.returncode == 0


@contextmanager
def applied(values: Mapping[str, str], environ: MutableMapping[str, str]) -> Iterator[None]:
    """Give ``environ`` those variables that it has not, as long as the context lasts.

    An application under test that reads the environment itself gets the same settings.
    """
    added = {name: value for name, value in values.items() if name not in environ}
    environ.update(added)
    try:
        yield
    finally:
        for name, value in added.items():
            if environ.get(name) == value:
                del environ[name]
