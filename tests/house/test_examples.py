"""What README and docs tell a reader to type really runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
EXAMPLES = ROOT / "docs" / "examples"
PROJECTS = ROOT / "examples"
README_TEST_LINES = 15


def _readme_test() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1, "README shows one example of a test"
    return str(blocks[0])


def _assert_passes(pytester: pytest.Pytester, *arguments: str) -> None:
    pytester.makeini(INI)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    assert result.ret == pytest.ExitCode.OK
    assert set(result.parseoutcomes()) <= {"passed", "deselected"}


def test_the_example_in_the_readme_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_readme_test())
    _assert_passes(pytester)


def test_the_example_in_the_readme_is_short() -> None:
    assert len(_readme_test().splitlines()) <= README_TEST_LINES


def test_the_examples_of_the_docs_pass(pytester: pytest.Pytester) -> None:
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, pytester.path)
    # The one for a real node is run by integration/test_tutorial.py.
    _assert_passes(pytester, "-m", "not real_proxmox")


def _run_in_shell(script: Path) -> str:
    """Return what the script prints; the command it calls is the one installed here."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    result = subprocess.run(
        ["/bin/sh", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_example_in_shell_passes() -> None:
    assert _run_in_shell(EXAMPLES / "control_plane.sh").endswith("3 tests passed\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_suite_in_shell_passes(tmp_path: Path) -> None:
    shutil.copytree(PROJECTS / "shell-suite", tmp_path, dirs_exist_ok=True)
    assert _run_in_shell(tmp_path / "tests.sh").endswith("\n5 tests, 0 failed\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_suite_in_shell_can_fail(tmp_path: Path) -> None:
    shutil.copytree(PROJECTS / "shell-suite", tmp_path, dirs_exist_ok=True)
    script = tmp_path / "backup.sh"
    script.write_text(script.read_text().replace('[ "$outcome" = OK ]', "true"))
    with pytest.raises(AssertionError, match="FAILED  test_a_full_storage_is_told"):
        _run_in_shell(tmp_path / "tests.sh")


def test_each_example_project_says_what_it_is_and_is_run_by_a_test() -> None:
    page = (ROOT / "docs/how-to/examples.md").read_text()
    tests = "".join(path.read_text() for path in ROOT.glob("*/*/test_*example*.py"))
    projects = {path.name for path in PROJECTS.iterdir() if (path / "README.md").is_file()}
    assert projects == {path.name for path in PROJECTS.iterdir() if path.is_dir()}
    assert {name for name in projects if f"`examples/{name}`" not in page} == set()
    assert {name for name in projects if name not in tests} == set()


def test_each_example_is_shown_in_the_docs() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"pytest.ini"}
    assert {name for name in files if f"examples/{name}" not in pages} == set()
