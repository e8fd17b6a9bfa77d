"""Async tests that are integration or real_proxmox need no asyncio mark of their own."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

ASYNC = """
import asyncio
import pytest

@pytest.mark.integration
async def test_it():
    await asyncio.sleep(0)
    assert asyncio.get_running_loop().is_running()
"""


def test_integration_test_runs_on_a_loop(project: Project, how: tuple[str, ...]) -> None:
    project.write("test_it.py", ASYNC)
    project.run(*how).assert_outcomes(passed=1)


def test_real_test_runs_on_a_loop(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_HOST", "pve.lan")
    project.write("test_it.py", ASYNC.replace("integration", "real_proxmox"))
    project.run().assert_outcomes(passed=1)


def test_failure_inside_is_a_failure(project: Project) -> None:
    project.write("test_it.py", ASYNC + "    assert False\n")
    project.run().assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (
            "module",
            ASYNC.replace("@pytest.mark.integration", "pytestmark = pytest.mark.integration"),
        ),
        (
            "class",
            "import asyncio, pytest\n@pytest.mark.integration\nclass TestIt:\n"
            "    async def test_it(self):\n        await asyncio.sleep(0)\n",
        ),
        (
            "parametrised",
            ASYNC.replace("@pytest", "@pytest.mark.parametrize('n', [1])\n@pytest").replace(
                "test_it()", "test_it(n)"
            ),
        ),
        (
            "hypothesis",
            "import asyncio, pytest\nfrom hypothesis import given, settings, strategies as st\n"
            "@pytest.mark.integration\n@settings(max_examples=2, database=None)\n"
            "@given(st.integers())\nasync def test_it(n):\n    await asyncio.sleep(0)\n",
        ),
    ],
    ids=lambda value: value if "\n" not in value else "",
)
def test_mark_counts_wherever_it_stands(project: Project, where: str, text: str) -> None:
    project.write("test_it.py", text)
    project.run().assert_outcomes(passed=1)


def test_other_async_tests_are_left_to_their_own_marks(project: Project) -> None:
    project.write("test_it.py", ASYNC.replace("@pytest.mark.integration", ""))
    project.run().assert_outcomes(failed=1)


def test_rule_can_be_turned_off(project: Project) -> None:
    project.ini("auto_asyncio = false")
    project.write("test_it.py", ASYNC)
    project.run().assert_outcomes(failed=1)


def test_own_asyncio_mark_is_kept(project: Project) -> None:
    project.write(
        "test_it.py",
        "import asyncio, pytest\n"
        "@pytest.mark.integration\n@pytest.mark.asyncio(loop_scope='module')\n"
        "async def test_it(request):\n"
        "    marks = list(request.node.iter_markers('asyncio'))\n"
        "    assert [mark.kwargs for mark in marks] == [{'loop_scope': 'module'}]\n",
    )
    project.run().assert_outcomes(passed=1)


def test_test_runs_on_the_loop_of_its_widest_async_fixture(project: Project) -> None:
    project.write(
        "test_it.py",
        "import asyncio, pytest, pytest_asyncio\n"
        "@pytest_asyncio.fixture(scope='module', loop_scope='module')\n"
        "async def lock():\n"
        "    yield asyncio.get_running_loop()\n"
        "@pytest_asyncio.fixture\n"
        "async def narrow():\n"
        "    return 1\n"
        "@pytest.mark.integration\n"
        "async def test_it(lock, narrow):\n"
        "    assert asyncio.get_running_loop() is lock\n",
    )
    project.run().assert_outcomes(passed=1)


def test_test_without_async_fixture_runs_on_the_default_loop(project: Project) -> None:
    project.ini("asyncio_default_test_loop_scope = session")
    project.write(
        "test_it.py",
        "import asyncio, pytest\nloops = set()\npytestmark = pytest.mark.integration\n"
        "async def test_a(): loops.add(asyncio.get_running_loop())\n"
        "async def test_b(): loops.add(asyncio.get_running_loop())\n"
        "def test_c(): assert len(loops) == 1\n",
    )
    project.run().assert_outcomes(passed=3)


def test_sync_tests_get_no_mark(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n@pytest.mark.integration\n"
        "def test_it(request): assert request.node.get_closest_marker('asyncio') is None\n",
    )
    project.run().assert_outcomes(passed=1)


def test_anyio_test_is_left_to_anyio(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.integration\n@pytest.mark.anyio\n"
        "async def test_it(request): assert request.node.get_closest_marker('asyncio') is None\n",
    )
    pytest.importorskip("anyio.pytest_plugin", reason="anyio is not installed")
    project.write(
        "conftest.py", "import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    project.run().assert_outcomes(passed=1)


def test_without_pytest_asyncio_nothing_is_marked(project: Project) -> None:
    project.write("tox.ini", "[pytest]\n")
    project.write("test_it.py", ASYNC)
    result = project.run_apart("-p", "no:asyncio", "--strict-markers")
    assert "'asyncio' not found in `markers`" not in result.stdout.str()
