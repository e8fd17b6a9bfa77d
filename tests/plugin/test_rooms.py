"""Rooms of fixtures open with the first file of tests; that changes nothing about who wins."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project


@pytest.fixture
def listed(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose conftest names a module of fixtures, as larger projects do."""
    pytester.makeconftest("pytest_plugins = ['project_fixtures']")
    return pytester


def test_fixture_of_a_projects_plugin_wins_over_ours(listed: pytest.Pytester) -> None:
    listed.makepyfile(
        project_fixtures="""
        import pytest

        @pytest.fixture
        def vmid():
            return "the project's"
        """,
        test_it="""
        def test_vmid(vmid):
            assert vmid == "the project's"
        """,
    )
    Project(listed).run().assert_outcomes(passed=1)


def test_fixture_of_a_projects_plugin_may_build_on_ours(listed: pytest.Pytester) -> None:
    listed.makepyfile(
        project_fixtures="""
        import pytest

        @pytest.fixture(name="vmid")
        def offset(vmid):
            return vmid + 1000
        """,
        test_it="""
        def test_vmid(vmid):
            assert 10000 <= vmid < 11000
        """,
    )
    Project(listed).run().assert_outcomes(passed=1)


def test_fixture_of_a_conftest_wins_over_ours(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def vmid(vmid):
            return vmid + 1000
        """
    )
    pytester.makepyfile("def test_vmid(vmid): assert 10000 <= vmid < 11000")
    Project(pytester).run().assert_outcomes(passed=1)


def test_conftest_in_a_folder_rules_that_folder_only(pytester: pytest.Pytester) -> None:
    for folder in ("high", "plain"):
        pytester.mkpydir(folder)
        name = f"{folder}/test_{folder}"
        pytester.makepyfile(
            **{name: f"def test_vmid(vmid): assert (vmid > 9999) == {folder == 'high'}"}
        )
    pytester.makepyfile(
        **{
            "high/conftest": """
            import pytest

            @pytest.fixture
            def vmid(vmid):
                return vmid + 1000
            """
        }
    )
    Project(pytester).run().assert_outcomes(passed=2)


def test_run_without_a_file_opens_no_room(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_sessionfinish():
            print([name for name in sys.modules if name.startswith("pytest_proxmox.fixtures")])
        """
    )
    result = pytester.runpytest_subprocess("-s")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["*[[]]*"])


def test_fixtures_are_listed_where_there_is_no_file(pytester: pytest.Pytester) -> None:
    result = Project(pytester).run("--fixtures")
    result.stdout.fnmatch_lines(["db_session -- *", "lxc -- *"])


def test_doctest_in_a_text_file_can_ask_for_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.maketxtfile(test_it=">>> int(getfixture('vmid')) >= 9000\nTrue\n")
    Project(pytester).run().assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["conftest", "project_fixtures"])
def test_address_that_a_project_gives_wins_over_that_of_app_server(
    pytester: pytest.Pytester, where: str
) -> None:
    project = Project(pytester)
    project.ini("app_server = nowhere:app")
    project.write("conftest.py", "pytest_plugins = ['project_fixtures']\n")
    project.write("project_fixtures.py", "")
    with (pytester.path / f"{where}.py").open("a") as file:
        file.write(
            "import pytest\n"
            "@pytest.fixture(scope='session')\n"
            "def base_url(): return 'http://project.example'\n"
        )
    project.write("test_it.py", "def test_it(base_url): assert base_url.endswith('example')\n")
    project.run().assert_outcomes(passed=1)


def test_address_of_app_server_wins_over_pytest_base_url(pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    project.ini("app_server = nowhere:app")
    project.write(
        "pytest_base_url/plugin.py",
        "import pytest\n@pytest.fixture(scope='session')\ndef base_url(): return 'theirs'\n",
    )
    project.write("conftest.py", "pytest_plugins = ['pytest_base_url.plugin']\n")
    project.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def app_server():\n"
        "    from types import SimpleNamespace\n"
        "    return SimpleNamespace(url='http://127.0.0.1:1')\n"
        "def test_it(base_url): assert base_url == 'http://127.0.0.1:1'\n",
    )
    project.run().assert_outcomes(passed=1)
