"""A project that starts to use the plugin: what it has, and which files it lacks."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.options import ENV_FILE

State = Literal["make", "add", "keep", "there"]
SETTINGS: Final = {
    "asyncio_default_fixture_loop_scope": "function",
    "proxmox_target": "simulator",
    "proxmox_vmid_range": "9000-9999",
}
PYPROJECT: Final = "pyproject.toml"
# In pytest's own order; the first that counts decides, so another one would not be read. Two of
# them count whenever they are there.
INI_FILES: Final = {
    "pytest.toml": "pytest",
    ".pytest.toml": "pytest",
    "pytest.ini": "pytest",
    ".pytest.ini": "pytest",
    PYPROJECT: "tool.pytest.ini_options",
    "tox.ini": "pytest",
    "setup.cfg": "tool:pytest",
}
ALWAYS_COUNT: Final = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
CI_FILES: Final = {"github": ".github/workflows/proxmox.yml", "gitlab": ".gitlab-ci.yml"}


@dataclass(frozen=True)
class Part:
    """One file: to ``make``, to ``add`` to, to ``keep`` as it is though it lacks ``text``, there.

    ``path`` is relative to the project, ``text`` what is written or what would be.
    """

    path: str
    state: State
    text: str = ""


def look(folder: Path, *, ci: str | None) -> list[Part]:
    """Return each file that a project with the plugin has, and what it lacks of it.

    ``ci`` is a key of CI_FILES, or None for no CI.

    Raises:
        InvalidValue: a file cannot be read, or a TOML or ini file is broken.
    """
    example = files(__package__) / "starters" / "env.test.example"
    parts = [
        _ini(folder),
        _whole(folder, f"{ENV_FILE}.example", example.read_text(encoding="utf-8")),
        _ignored(folder),
    ]
    if ci is not None:
        starter = files(__package__) / "starters" / f"{ci}.yml"
        parts.append(_whole(folder, CI_FILES[ci], starter.read_text(encoding="utf-8")))
    return parts


def write(folder: Path, part: Part) -> None:
    """Make the file, or add to it; what stands there stays as it is.

    Raises:
        InvalidValue: it cannot be written.
    """
    path = folder / part.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x" if part.state == "make" else "a", encoding="utf-8") as file:
            file.write(part.text)
    except OSError as exc:
        raise InvalidValue(
            f'"{path}" cannot be written: {exc.strerror}',
            origin=f"folder {folder}",
            hint="Make the folder writable, or copy what --dry-run shows",
        ) from exc


def _whole(folder: Path, name: str, text: str) -> Part:
    """A file that is ours alone; of one that is there, the lines that it has not."""
    there = _read(folder / name)
    if there is None:
        return Part(name, "make", text)
    known = set(there.splitlines())
    lacking = [line for line in text.splitlines() if line not in known]
    if not lacking:
        return Part(name, "there")
    return Part(name, "keep", "".join(f"{line}\n" for line in lacking))


def _ignored(folder: Path) -> Part:
    """Where git learns that the file with the secrets is not for it."""
    there = _read(folder / ".gitignore")
    if there is None:
        return Part(".gitignore", "make", f"{ENV_FILE}\n")
    if {ENV_FILE, f"/{ENV_FILE}"} & {line.strip() for line in there.splitlines()}:
        return Part(".gitignore", "there")
    return Part(".gitignore", "add", _joined(there, f"{ENV_FILE}\n", gap=""))


def _ini(folder: Path) -> Part:
    """The file that pytest reads its settings from, or would."""
    for name, section in INI_FILES.items():
        there = _read(folder / name)
        found = None if there is None else _sections(folder / name, there)
        settings = None if found is None else _settings(name, found)
        if settings is None and name in ALWAYS_COUNT and there is not None:
            return Part(name, "add", _joined(there, _section(name, section)))
        if settings is not None:
            lacking = {key: SETTINGS[key] for key in SETTINGS if key not in settings}
            if not lacking:
                return Part(name, "there")
            return Part(name, "keep", _section(name, section, lacking))
    pyproject = _read(folder / PYPROJECT)
    if pyproject is not None:
        text = _section(PYPROJECT, INI_FILES[PYPROJECT])
        return Part(PYPROJECT, "add", _joined(pyproject, text))
    return Part("pytest.ini", "make", _section("pytest.ini", INI_FILES["pytest.ini"]))


def _settings(name: str, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The file's settings of pytest, None where it has none."""
    if name == PYPROJECT:
        pytest = found.get("tool", {}).get("pytest")
        # Since pytest 9 the table itself holds them, too.
        return None if pytest is None else pytest.get("ini_options", pytest)
    section: Mapping[str, Any] | None = found.get(INI_FILES[name])
    return section


def _section(name: str, section: str, settings: Mapping[str, str] = SETTINGS) -> str:
    quote = '"' if name.endswith(".toml") else ""
    lines = [f"[{section}]", *(f"{key} = {quote}{value}{quote}" for key, value in settings.items())]
    return "".join(f"{line}\n" for line in lines)


def _joined(there: str, text: str, *, gap: str = "\n") -> str:
    """What to append: the text on lines of its own."""
    if not there:
        return text
    return ("" if there.endswith("\n") else "\n") + gap + text


def _sections(path: Path, text: str) -> Mapping[str, Any]:
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read_string(text)
        return {name: dict(parser.items(name)) for name in parser.sections()}
    except (tomllib.TOMLDecodeError, configparser.Error) as exc:
        problem = str(exc).splitlines()[0]
        raise InvalidValue(
            f'"{path.name}" cannot be read: {problem}', origin=str(path), hint="Mend it first"
        ) from exc


def _read(path: Path) -> str | None:
    """The file's text, None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        problem = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise InvalidValue(
            f'"{path.name}" cannot be read: {problem}', origin=str(path), hint="Mend or move it"
        ) from exc
