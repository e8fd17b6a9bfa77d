"""What is read at collection: tests that cannot fail, and mocks that their class has outgrown."""

from __future__ import annotations

import pytest

SUITE = """
    import asyncio, time
    import pytest


    def test_nothing():
        print(1 + 1)


    def test_any_status(client=None):
        status = 500
        assert status in [200, 400, 500, 502]


    def test_any_error():
        with pytest.raises(Exception):
            raise TypeError


    def test_sleeps():
        time.sleep(0.001)
        assert True


    def test_twice():
        assert True


    def test_twice():
        assert True
"""
INNOCENT = """
    import asyncio
    import pytest


    def check_sum(value):
        assert value == 2


    def test_by_helper():
        check_sum(1 + 1)


    def test_two_good_statuses():
        status = 201
        assert status in (200, 201, 204)


    def test_one_error():
        with pytest.raises(Exception, match="no route"):
            raise OSError("no route")


    def test_yields():
        asyncio.run(asyncio.sleep(0))
        assert True


    @pytest.mark.skip
    def test_later():
        pass
"""
RULES = ["no-assertion", "tautological-status", "raises-anything", "hard-sleep", "duplicate-name"]
SERVICE = """
    class Proxy:
        async def delete_vhost(self, name: str) -> bool:
            raise NotImplementedError

        def hosts(self) -> list[str]:
            raise NotImplementedError
"""


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["alone", "two-workers"])
def test_lint_warns_once(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makeini("[pytest]\nhygiene_lint = warn\n")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess(*options)

    result.assert_outcomes(passed=5)
    text = result.stdout.str()
    assert [text.count(f"[{rule}]") for rule in RULES] == [1, 1, 1, 1, 1]


def test_lint_refuses_the_module_as_an_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nhygiene_lint = error\n")
    pytester.makepyfile(test_suite=SUITE)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_suite.py:5: test_nothing has no assertion*"])


def test_lint_spares_tests_that_judge(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nhygiene_lint = error\n")
    pytester.makepyfile(INNOCENT)

    pytester.runpytest_subprocess().assert_outcomes(passed=4, skipped=1)


def test_lint_is_off_unless_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*no-assertion*")


@pytest.mark.parametrize(
    ("stub", "told"),
    [
        ("mock = strict_mock(Proxy, remove_vhost=True)", "has no 'remove_vhost'"),
        ("mock = strict_mock(Proxy); mock.remove_vhost.returns(True)", "Did you mean"),
        ("mock = strict_mock(Proxy); mock.delete_vhost.when(host=1)", "has no parameter host"),
        ("strict_mock(Proxy, delete_vhost=lambda host: True)", "has no parameter host"),
        ("mock = AsyncMock(spec=Proxy); mock.remove_vhost = 1", "has no 'remove_vhost'"),
    ],
    ids=["given", "method", "parameter", "function", "unittest-mock"],
)
def test_drifted_mock_is_refused_at_collection(
    pytester: pytest.Pytester, stub: str, told: str
) -> None:
    _project(pytester, stub)

    result = pytester.runpytest_subprocess("--collect-only")

    result.assert_outcomes(errors=1)
    assert told in result.stdout.str()


def test_mock_that_fits_is_collected(pytester: pytest.Pytester) -> None:
    _project(
        pytester,
        "mock = strict_mock(Proxy, hosts=[]); mock.delete_vhost.when(name='a').returns(True)",
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_mock_of_a_conftest_fixture_is_checked(pytester: pytest.Pytester) -> None:
    _project(pytester, "pass")
    pytester.makeconftest(
        """
        import pytest
        from pytest_proxmox.mocks import strict_mock
        from service import Proxy


        @pytest.fixture
        def proxy():
            mock = strict_mock(Proxy)
            yield mock
        """
    )
    pytester.makepyfile(test_uses="def test_it(proxy):\n    proxy.remove_vhost.returns(True)\n")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["test_uses.py:2: service.Proxy has no 'remove_vhost'*"])


def _project(pytester: pytest.Pytester, stub: str) -> None:
    pytester.makeini("[pytest]\npythonpath = .\n")
    pytester.makepyfile(
        service=SERVICE,
        test_service=f"""
        from unittest.mock import AsyncMock
        from pytest_proxmox.mocks import strict_mock
        from service import Proxy


        def test_it():
            {stub}
        """,
    )
