"""What is in the wheel and the sdist: all of the package, nothing of the workshop."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from pytest_proxmox import __version__
from tests.house.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LARGEST_WHEEL = 2_000_000  # bytes; what everybody downloads
UNWANTED = re.compile(
    r"(^|/)(\.git|\.venv|\.env\.test|\.mypy_cache|\.ruff_cache|\.pytest_cache|\.hypothesis|build"
    r"|dist|node_modules|__pycache__)(/|$)|\.py[co]$|\.sqlite$|~$"
)


def _tracked(folder: str) -> set[str]:
    """The folder's files that git knows; where this is no checkout, those that are there."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}
    found = (ROOT / folder).rglob("*")
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def _metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    parsed = HeaderParser().parsestr(text)
    return {key: parsed.get_all(key, []) for key in parsed} | {"text": [text]}


def _names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}


def test_the_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == _tracked("pytest_proxmox")
    assert {name.rpartition("/")[2] for name in info} == {
        "METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE",
    }  # fmt: skip


def test_the_wheel_is_small_and_for_every_machine(wheel: Path) -> None:
    assert wheel.name == f"pytest_proxmox-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_wheel_names_the_plugin_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith("entry_points.txt")]
        text = archive.read(name).decode()
    assert "[pytest11]\nproxmox = pytest_proxmox.plugin" in text
    assert "[console_scripts]\npytest-proxmox = pytest_proxmox.cli.main:main" in text


def test_the_metadata_tells_version_python_licence_and_extras(wheel: Path) -> None:
    told = _metadata(wheel)
    assert told["Version"] == [__version__]
    assert told["Requires-Python"] == [PROJECT["requires-python"]]
    assert told["License-Expression"] == ["MIT"]
    assert set(told["Provides-Extra"]) == set(PROJECT["optional-dependencies"])


def test_the_core_needs_what_the_project_says_and_no_more(wheel: Path) -> None:
    core = [one for one in _metadata(wheel)["Requires-Dist"] if "extra ==" not in one]
    names = {re.split(r"[<>=\[; ]", one)[0].lower() for one in core}
    assert names == {re.split(r"[<>=\[; ]", one)[0].lower() for one in PROJECT["dependencies"]}
    assert len(names) <= 8


def test_every_requirement_has_a_lower_bound() -> None:
    extras = PROJECT["optional-dependencies"].values()
    every = [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]
    ours = "pytest-proxmox["
    assert [one for one in every if not one.startswith(ours) and ">=" not in one] == []


def test_the_sdist_has_the_tests_the_docs_and_the_examples(sdist: Path) -> None:
    names = _names_in_sdist(sdist)
    for folder in ("pytest_proxmox", "src_app", "tests", "docs", "examples", "integration"):
        assert _tracked(folder) - names == set()
    assert {"pyproject.toml", "README.md", "LICENSE", "dev", "CHANGELOG.rst", "Dockerfile"} <= names


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_nothing_of_the_workshop_is_in_it(kind: str, wheel: Path, sdist: Path) -> None:
    if kind == "wheel":
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
    else:
        names = _names_in_sdist(sdist)
    assert [name for name in names if UNWANTED.search(name)] == []


def test_the_readme_is_the_description_and_its_links_work_elsewhere(wheel: Path) -> None:
    """Links in it lead into the repository: an index shows them only where they are whole."""
    text = _metadata(wheel)["text"][0]
    assert (ROOT / "README.md").read_text() in text
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target
