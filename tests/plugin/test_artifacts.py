"""What is kept of each attempt of a test that fails, and what is told about habits."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.plugin.conftest import Project

DEMO = Path(__file__).parents[1] / "browser/demo.py"
SECRET = "admin-secret-1"

FLAKY = f"""
import asyncio, pytest
ATTEMPTS = []

def test_fails_twice(admin_authenticated_page, proxmox):
    page = admin_authenticated_page
    ATTEMPTS.append(page)
    proxmox.version.get()
    page.evaluate("console.error('attempt {{}}')".replace("{{}}", str(len(ATTEMPTS))))
    page.evaluate("fetch('/api/v1/auth/me?token={SECRET}')")
    page.evaluate("document.querySelector('#loginPassword').setAttribute('value', '{SECRET}')")
    page.wait_for_timeout(1)
    assert len(ATTEMPTS) == 3

def test_logs_in_by_hand(page, base_url):
    page.goto(base_url)
    page.fill("#loginUsername", "admin")
    page.fill("#loginPassword", "{SECRET}")
    page.click("#loginForm button")
    page.wait_for_selector("#dashboardView[data-loaded=true]")

@pytest.mark.asyncio
async def test_asyncio_after_a_page():
    await asyncio.sleep(0)

@pytest.mark.anyio
async def test_anyio_after_a_page(anyio_backend):
    await asyncio.sleep(0)

def test_asyncio_run_beside_a_page(page):
    assert asyncio.run(asyncio.sleep(0, 3)) == 3
    assert page.evaluate("2") == 2
"""

ANYIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.fixture
def demo(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose app is the demo."""
    shutil.copy(DEMO, project.path / "demo.py")
    project.ini("app_server = demo:create_app()")
    project.write(
        "conftest.py", "import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    monkeypatch.setenv("E2E_ADMIN_USERNAME", "admin")
    monkeypatch.setenv("E2E_ADMIN_PASSWORD", SECRET)
    return project


def _texts(folder: Path) -> dict[str, str]:
    """Every text of a folder, those inside of archives too, pictures left out."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    found[f"{path}/{name}"] = archive.read(name).decode("utf-8", "replace")
        elif path.is_file() and path.suffix != ".png":
            found[str(path)] = path.read_text("utf-8", "replace")
    return found


def test_each_attempt_keeps_its_own_and_no_secret(demo: Project) -> None:
    demo.write("test_it.py", FLAKY)
    result = demo.run_browser(
        "-p", "allure_pytest",
        "--rerun-new", "--tracing=retain-on-failure", "--alluredir=allure", "--auth-debug",
        "--proxmox-report=out",
    )  # fmt: skip
    outcomes = result.parseoutcomes()
    assert (outcomes.get("passed"), outcomes.get("rerun")) == (5, 2)
    assert "failed" not in outcomes
    for attempt, suffix in enumerate(("", "-retry1"), 1):
        folder = demo.path / f"test-results/test-it-py-test-fails-twice-chromium{suffix}"
        names = {path.name for path in folder.iterdir()}
        assert names >= {"page-1.png", "page-1.html", "page-1.life.log", "page-1.network.log"}
        assert names >= {"proxmox-calls.log", "trace.zip"}
        assert f"error: attempt {attempt}\n" in (folder / "page-1.console.log").read_text()
        assert "GET /version" in (folder / "proxmox-calls.log").read_text()
    texts = _texts(demo.path / "test-results") | _texts(demo.path / "out")
    assert texts
    assert not [name for name, text in texts.items() if SECRET in text]
    for folder in (demo.path / "allure", demo.path / "out" / "allure-results"):
        attached = [
            attachment["name"]
            for path in folder.glob("*-result.json")
            for attachment in json.loads(path.read_text()).get("attachments", ())
        ]
        assert attached.count("page-1.png") == 2
        assert attached.count("trace.zip") == 2
    result.stdout.fnmatch_lines(["*fixed wait at *test_it.py:* in test_fails_twice: 3 times*"])
    result.stdout.fnmatch_lines(["*login by hand at *test_it.py:* in *test_logs_in_by_hand*"])
    result.stdout.fnmatch_lines(["*ok *API healthy*"])


OPEN_ALL_THE_TIME = """
import pytest

@pytest.fixture(scope="session")
def board(browser):
    return browser.new_page()

def test_with_it(board):
    board.goto("about:blank")
    assert False

def test_without_it():
    assert False

def test_that_opens_one(request):
    request.getfixturevalue("page").goto("about:blank")
    assert False
"""


def test_only_tests_with_pages_keep_any(project: Project) -> None:
    project.write("test_it.py", OPEN_ALL_THE_TIME)
    project.run_browser().assert_outcomes(failed=3)
    kept = sorted(path.name for path in (project.path / "test-results").iterdir())
    assert kept == ["test-it-py-test-that-opens-one", "test-it-py-test-with-it-chromium"]


def test_fixture_without_its_extra_says_what_to_install(project: Project) -> None:
    project.write("test_it.py", "def test_it(authenticated_page): pass\n")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*authenticated_page needs the extra 'e2e'*pip install*e2e*"])


def test_page_nobody_can_log_in_to_says_so(project: Project) -> None:
    project.write("test_it.py", "def test_it(authenticated_page): pass\n")
    result = project.run_browser()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no app to log in to*app_server*"])
