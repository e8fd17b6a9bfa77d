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
README_TEST_LINES = 15


def _readme_test() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1, "README shows one example of a test"
    return str(blocks[0])


def _assert_passes(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.OK
    assert set(result.parseoutcomes()) == {"passed"}


def test_the_example_in_the_readme_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_readme_test())
    _assert_passes(pytester)


def test_the_example_in_the_readme_is_short() -> None:
    assert len(_readme_test().splitlines()) <= README_TEST_LINES


def test_the_examples_of_the_docs_pass(pytester: pytest.Pytester) -> None:
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, pytester.path)
    _assert_passes(pytester)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_example_in_shell_passes() -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    result = subprocess.run(
        ["/bin/sh", EXAMPLES / "control_plane.sh"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("3 tests passed\n")


def test_each_example_is_shown_in_the_docs() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"pytest.ini"}
    assert {name for name in files if f"examples/{name}" not in pages} == set()
