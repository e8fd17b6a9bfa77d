"""The switches of the checks: what turns them off, what allows a leak, what refuses a typo."""

from __future__ import annotations

import pytest

FORGETS = """
    async def fetch():
        return 1


    def test_it():
        fetch()
"""
LEAKS = """
    import os


    def test_it():
        os.environ["CANARY"] = "1"
"""


@pytest.mark.parametrize(
    ("ini", "options"),
    [
        ("", ["--no-strict-async"]),
        ("strict_async = false", []),
        ("hygiene_coroutines = off", []),
        ("hygiene_allow = coroutine:fetch", []),
        ("hygiene_allow = coroutine:*/test_forgets.py", []),
    ],
    ids=["flag", "ini", "kind", "allowed by name", "allowed by file"],
)
def test_coroutines_are_left_alone_where_told(
    pytester: pytest.Pytester, ini: str, options: list[str]
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(test_forgets=FORGETS)

    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1, warnings=1)


def test_the_flag_wins_over_the_ini_key(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nstrict_async = false\n")
    pytester.makepyfile(FORGETS)

    pytester.runpytest_subprocess("--strict-async").assert_outcomes(failed=1)


@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "worker"])
def test_a_kind_at_warn_is_told_at_the_end(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makeini("[pytest]\nhygiene_environ = warn\n")
    pytester.makepyfile(test_leaks=LEAKS)

    result = pytester.runpytest_subprocess(*options)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_it: environment variable CANARY was set*"])


@pytest.mark.parametrize(
    ("ini", "told"),
    [
        ("hygiene_tasks = loud", '"loud" is no level'),
        ("hygiene_allow = corutine", 'unknown kind of leak, "corutine"'),
        ("reset_singletons = nowhere:NAME", 'singleton "nowhere:NAME" cannot be found'),
        ("hygiene_lint = maybe", '"maybe" is none of off, warn, error'),
    ],
    ids=["level", "pattern", "singleton", "lint"],
)
def test_a_mistake_in_a_key_is_named(pytester: pytest.Pytester, ini: str, told: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(FORGETS)

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert told in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_changed_keys_show_in_the_header(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nhygiene_threads = off\n")

    result = pytester.runpytest_subprocess("--no-strict-async")

    result.stdout.fnmatch_lines(
        ["hygiene: strict async off (--no-strict-async), thread off (tox.ini)"]
    )


def test_unset_loop_scope_is_no_internal_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(
        """
        import pytest


        @pytest.mark.asyncio
        async def test_it():
            assert True
        """
    )

    pytester.runpytest_subprocess("-Werror").assert_outcomes(passed=1)


def test_values_of_variables_are_not_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os


        def test_it():
            os.environ.update(TOKEN=str(6 * 7) * 3)
        """
    )

    result = pytester.runpytest_subprocess("--tb=short")

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*424242*")
