"""The fixture app_server in a project of its own: database and Proxmox of each worker."""

from __future__ import annotations

from tests.browser.test_app_server import APP
from tests.plugin.conftest import Project

TESTS = """
import os, urllib.request, pytest
from pathlib import Path

@pytest.mark.parametrize("number", range(4))
def test_app_has_its_own_world(app_server, base_url, api_url, proxmox_target, number):
    assert base_url == app_server.url and api_url == base_url + "/api/v1"
    told = urllib.request.urlopen(base_url, timeout=10).read().decode()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    Path(__file__).with_name(f"{worker}.told").write_text(told)
    assert "GREETING=hello" in told
    assert f"PROXMOX_PORT={proxmox_target.url.rpartition(':')[2]}" in told
"""


def _shop(project: Project) -> None:
    project.write("shop.py", APP)
    project.ini("app_server = shop:app", "app_server_health = /", "app_server_env = GREETING=hello")


def test_each_worker_has_an_app_database_and_proxmox(
    project: Project, how: tuple[str, ...]
) -> None:
    _shop(project)
    project.write("test_it.py", TESTS)
    project.run_apart(*how).assert_outcomes(passed=4)
    told = [path.read_text() for path in project.path.glob("*.told")]
    assert len(set(told)) == (2 if how else 1)
    assert all("DATABASE_URL=sqlite:////" in text for text in told)


def test_failed_test_shows_the_apps_log_of_this_test(project: Project) -> None:
    _shop(project)
    project.write(
        "test_it.py",
        "import urllib.request\n"
        "def test_before(base_url): urllib.request.urlopen(base_url + '/first', timeout=10)\n"
        "def test_it(base_url):\n"
        "    urllib.request.urlopen(base_url + '/second', timeout=10)\n"
        "    assert False\n",
    )
    result = project.run_apart()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*app server*", "*asked for /second*"])
    result.stdout.no_fnmatch_line("*asked for /first*")


def test_failed_test_without_the_app_shows_nothing_of_it(project: Project) -> None:
    _shop(project)
    project.write(
        "test_it.py",
        "import urllib.request\n"
        "def test_before(base_url): urllib.request.urlopen(base_url + '/first', timeout=10)\n"
        "def test_it(): assert False\n",
    )
    result = project.run_apart()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*app server*")


def test_app_that_cannot_start_fails_its_tests_with_its_log(project: Project) -> None:
    _shop(project)
    project.write("shop.py", "raise SystemExit('no configuration')\n")
    project.write("test_it.py", "def test_it(app_server): pass\n")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ended before it was healthy*", "*no configuration*"])


def test_no_app_named_is_told(project: Project) -> None:
    project.write("test_it.py", "def test_it(app_server): pass\n")
    result = project.run_apart()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*app_server does not know the app*ini key app_server*"])


def test_base_url_of_the_command_line_wins(project: Project) -> None:
    _shop(project)
    project.write("test_it.py", "def test_it(base_url): assert base_url == 'http://x:1'\n")
    project.run_browser("--base-url=http://x:1").assert_outcomes(passed=1)
