"""A project with pytest-playwright tests gets guard and artifacts without a changed line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.plugin.conftest import Project

EXAMPLE = Path(__file__).parents[2] / "examples/pytest-playwright"
LAUNCHED = """
def test_launch(browser_type_launch_args, browser_name):
    assert browser_type_launch_args.get("headless", True) is {headless}
    assert browser_name == "{browser}"
"""
WRONG = """
def test_notes_are_wrong(page):
    page.goto("/notes.html")
    assert page.title() == "something else"
"""
LOST = """
def test_page_is_lost(page):
    page.goto("/notes.html")
    page.close()
    page.get_by_label("Note").fill("too late")
"""


@pytest.fixture
def example(project: Project) -> Project:
    """The example, copied."""
    (project.path / "tox.ini").unlink()
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    return project


def test_example_names_nothing_of_the_plugin() -> None:
    texts = [path.read_text() for path in EXAMPLE.rglob("*.*") if path.suffix in (".py", ".ini")]
    assert texts
    assert not any("proxmox" in text.replace("pytest-proxmox", "") for text in texts)


def test_example_passes_with_every_option_of_pytest_playwright(example: Project) -> None:
    result = example.run_browser(
        "--tracing=on", "--screenshot=on", "--video=on", "--browser=chromium"
    )
    result.assert_outcomes(passed=3, warnings=result.parseoutcomes().get("warnings", 0))
    traces = list(example.path.glob("test-results/*/trace*.zip"))
    assert len(traces) == 4  # one test has two contexts
    assert list(example.path.glob("test-results/*/test-finished-1.png"))
    videos = list(example.path.glob("test-results/*/video*.webm"))
    warned = "--video records nothing" in result.stdout.str()
    assert bool(videos) is not warned


def test_pages_of_a_failed_test_are_kept_where_options_say_so(example: Project) -> None:
    example.write("tests/test_wrong.py", WRONG)
    result = example.run_browser(
        "--tracing=retain-on-failure",
        "--screenshot=only-on-failure",
        "--video=retain-on-failure",
        "-k=wrong or survives",
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (1, 1)
    kept = {path.parent.name for path in example.path.glob("test-results/*/*")}
    assert kept == {"tests-test-wrong-py-test-notes-are-wrong-chromium"}
    names = {path.name for path in example.path.glob("test-results/*/*")}
    assert names >= {"trace.zip", "test-failed-1.png", "page-1.life.log", "page-1.html"}


def test_browser_is_shown_when_headed(example: Project) -> None:
    example.write("tests/test_launch.py", LAUNCHED.format(headless=False, browser="chromium"))
    example.run_browser("--headed", "-k", "launch").assert_outcomes(passed=1, deselected=3)


def test_each_browser_that_is_named_is_used(example: Project) -> None:
    example.write("tests/test_launch.py", LAUNCHED.format(headless=True, browser="firefox"))
    result = example.run_browser("--browser=firefox", "-k", "launch")
    result.assert_outcomes(passed=1, deselected=3)


def test_example_without_the_guard_is_as_without_the_plugin(example: Project) -> None:
    example.write("tests/test_lost.py", LOST)
    bare = example.run_browser("--no-guard-pages", "-k", "lost")
    bare.assert_outcomes(failed=1, deselected=3)
    bare.stdout.fnmatch_lines(["*TargetClosedError*"])
    guarded = example.run_browser("-k", "lost")
    guarded.assert_outcomes(failed=1, deselected=3)
    guarded.stdout.fnmatch_lines(
        [
            "*PageClosedError: Locator.fill: the page is gone",
            "*page.close() at tests/test_lost.py:4*",
            "tests/test_lost.py:5: PageClosedError",
        ]
    )
    kept = {path.name for path in example.path.glob("test-results/*lost*/*")}
    assert kept >= {"page-1.life.log", "page-1.network.log"}
