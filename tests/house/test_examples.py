"""What README and docs tell a reader to type really runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.source import ROOT

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
EXAMPLES = sorted((ROOT / "docs/examples").glob("test_*.py"))
README_TEST_LINES = 15


def _readme_test() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1, "README shows one example of a test"
    return str(blocks[0])


def _assert_passes(pytester: pytest.Pytester, text: str) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(text)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.OK
    assert set(result.parseoutcomes()) == {"passed"}


def test_the_example_in_the_readme_passes(pytester: pytest.Pytester) -> None:
    _assert_passes(pytester, _readme_test())


def test_the_example_in_the_readme_is_short() -> None:
    assert len(_readme_test().splitlines()) <= README_TEST_LINES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_docs_passes(pytester: pytest.Pytester, path: Path) -> None:
    _assert_passes(pytester, path.read_text())
