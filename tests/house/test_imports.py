"""Who may import whom: the contracts hold, and each of them can be broken."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, project_sources

LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(limit_to_contracts=tuple(sys.argv[1:]), no_cache=True, no_logo=True))
"""
HEAVY = {"playwright", "sqlalchemy", "proxmoxer", "requests", "allure", "uvicorn", "cryptography"}
PACKAGES = ("pytest_proxmox", "src_app")


def _lint_imports(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Return the linter's run on the packages that lie in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", LINT, *contracts],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_room_keeps_the_import_contracts() -> None:
    run = _lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


def test_fixtures_name_heavy_packages_as_types_only() -> None:
    offences = [
        source.offence(line, f"imports {name} outside TYPE_CHECKING")
        for source in project_sources()
        if source.path.startswith("pytest_proxmox/fixtures/")
        for line, name in _imports_at_run_time(source.tree)
        if name in HEAVY
    ]
    assert not offences, "\n".join(map(str, offences))


def _imports_at_run_time(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the package of each import that is not for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Try) and _asks_for_an_extra(child):
            continue
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name.partition(".")[0]) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.lineno, (child.module or "").partition(".")[0]
        yield from _imports_at_run_time(child)


def _asks_for_an_extra(node: ast.Try) -> bool:
    """Whether all that is tried is one import, and its failure is an error of ours."""
    return (
        len(node.body) == 1
        and isinstance(node.body[0], ast.Import)
        and all("MissingExtra" in ast.unparse(handler) for handler in node.handlers)
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of both packages and their contracts, to break."""
    folder = tmp_path_factory.mktemp("house")
    for source in project_sources():
        if source.room in PACKAGES:
            (folder / source.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / source.path).write_text(source.text, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


PLANTED = {
    "errors upwards": ("house", "errors.py", "import pytest_proxmox.values"),
    "simulator to target": ("house", "simulator/planted.py", "import pytest_proxmox.target"),
    "target to simulator": ("house", "target/planted.py", "import pytest_proxmox.simulator"),
    "a room nobody listed": ("house", "unlisted/__init__.py", ""),
    "sandbox to simulator": ("sandbox", "sandbox/planted.py", "import pytest_proxmox.simulator"),
    "plugin to fixtures": ("plugin", "plugin.py", "import pytest_proxmox.fixtures"),
    "proxmoxer outside target": ("client", "sandbox/planted.py", "import proxmoxer"),
    "requests in a function": ("client", "config.py", "def f():\n    import requests"),
    "web server in target": ("web-server", "target/planted.py", "import httptools"),
    "app to plugin": ("app", "../src_app/planted.py", "import pytest_proxmox.values"),
    "app to pytest": ("app-knows-no-tests", "../src_app/planted.py", "import pytest"),
}


@pytest.mark.parametrize(("contract", "module", "line"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_import_breaks_its_contract(
    copy: Path, contract: str, module: str, line: str
) -> None:
    path = (copy / "pytest_proxmox" / module).resolve()
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        run = _lint_imports(copy, contract)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
        if path.parent.name == "unlisted":
            path.parent.rmdir()
    assert run.returncode == 1, run.stdout + run.stderr
