"""The rules themselves: what each finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.house import rules
from tests.house.source import Offence, Source

Rule = Callable[[Source], Iterable[Offence]]


def _function(lines: int, name: str = "claim") -> str:
    return f"def {name}():\n" + "    x = 1\n" * (lines - 1)


FOUND: dict[str, tuple[Rule, str]] = {
    "a function of 61 lines": (rules.long_functions, _function(61)),
    "a long method": (
        rules.long_functions,
        "class A:\n    def m(self):\n" + "        x = 1\n" * 60,
    ),
    "a module of 501 lines": (rules.long_module, "x = 1\n" * 501),
    "a function without docstring": (rules.undocumented, "def claim(): ..."),
    "a coroutine without docstring": (rules.undocumented, "async def claim(): ..."),
    "a class without docstring": (rules.undocumented, "class Lease: x = 1"),
    "a method without docstring": (
        rules.undocumented,
        'class Lease:\n    """A lease."""\n    def free(self): ...',
    ),
    "a docstring that opens without a sentence": (
        rules.undocumented,
        'def claim():\n    """claim\n\n    Claims it.\n    """',
    ),
    "a function behind a condition": (rules.undocumented, "if True:\n    def claim(): ..."),
    "an empty handler": (rules.swallowed_exceptions, "try: f()\nexcept OSError: pass"),
    "a handler of dots": (rules.swallowed_exceptions, "try: f()\nexcept OSError: ..."),
    "a suppression of everything": (
        rules.swallowed_exceptions,
        "with contextlib.suppress(Exception): f()",
    ),
    "a stub": (rules.stubs, "def f(): raise NotImplementedError('later')"),
    "a sleep": (rules.sleeps, "import time\ntime.sleep(1)"),
    "an imported sleep": (rules.sleeps, "from time import sleep as nap"),
    "a sleep handed over": (rules.sleeps, "wait(sleep=time.sleep)"),
    "a test that cannot fail": (rules.tests_without_judgement, "def test_it(): claim()"),
    "a Vmid made": (rules.vmids_made, "v = Vmid(100)"),
    "a Vmid parsed": (rules.vmids_made, "v = Vmid.parse('100')"),
    "a Vmid mapped": (rules.vmids_made, "v = map(Vmid, range(100, 200))"),
}

LEFT_ALONE: dict[str, tuple[Rule, str]] = {
    "a function of 60 lines": (rules.long_functions, _function(60)),
    "a module of 500 lines": (rules.long_module, "x = 1\n" * 500),
    "a private function": (rules.undocumented, "def _claim(): ..."),
    "a method of a private class": (rules.undocumented, "class _L:\n    def free(self): ..."),
    "a function in a function": (
        rules.undocumented,
        'def f():\n    """Return it."""\n    def g(): ...',
    ),
    "an override": (rules.undocumented, "@override\ndef free(self): ..."),
    "a dunder": (
        rules.undocumented,
        'class L:\n    """A lease."""\n    def __repr__(self): ...',
    ),
    "a handler that answers": (rules.swallowed_exceptions, "try: f()\nexcept OSError: x = 1"),
    "one type suppressed": (rules.swallowed_exceptions, "with suppress(OSError): f()"),
    "an error of ours": (rules.stubs, "raise LookupError('x')"),
    "a sleep of the clock port": (rules.sleeps, "clock.sleep(1)"),
    "an asyncio sleep": (rules.sleeps, "asyncio.sleep(1)"),
    "a test that asserts": (rules.tests_without_judgement, "def test_it(): assert claim()"),
    "a test that expects an error": (
        rules.tests_without_judgement,
        "def test_it():\n    with pytest.raises(OSError): claim()",
    ),
    "a Vmid as a type": (rules.vmids_made, "def f(v: Vmid) -> Vmid: return isinstance(v, int)"),
}


def _planted(rule: Rule, text: str) -> Source:
    in_tests = rule is rules.tests_without_judgement
    return Source("tests/unit/test_it.py" if in_tests else "pytest_proxmox/it.py", text)


@pytest.mark.parametrize(("rule", "text"), FOUND.values(), ids=FOUND.keys())
def test_rule_finds(rule: Rule, text: str) -> None:
    assert list(rule(_planted(rule, text)))


@pytest.mark.parametrize(("rule", "text"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_rule_leaves_alone(rule: Rule, text: str) -> None:
    assert not list(rule(_planted(rule, text)))


def test_a_function_over_the_aim_is_listed_by_path_and_name() -> None:
    text = _function(41) + _function(40, name="free")
    assert list(rules.longish_functions(Source("a/b.py", text))) == ["a/b.py::claim"]


def test_a_test_needs_no_docstring_but_a_fixture_does() -> None:
    text = "def test_it(): ...\n@pytest.fixture\ndef lease(): ..."
    offences = list(rules.undocumented(Source("tests/unit/test_lease.py", text)))
    assert [offence.what for offence in offences] == ["lease has no docstring"]


@pytest.mark.parametrize("path", ["a/utils.py", "a/helpers/b.py", "common.py"])
def test_a_name_that_says_nothing_is_found(path: str) -> None:
    assert list(rules.nameless_path(path))


@pytest.mark.parametrize(
    "line",
    [
        "see /home/ann/notes",
        "in '/Users/ann/src'",
        "cd /root/project",
        "at /work/tree",
        r"C:\Users\ann",
        "https://pypi.org/simple",
    ],
)
def test_a_path_of_a_machine_is_found(line: str) -> None:
    assert list(rules.workplace_words("README.md", line))


@pytest.mark.parametrize(
    "line", ["/nodes/pve/lxc", "e2e/work/x", "the work/life of a home/page", "/etc/pve", "$HOME/x"]
)
def test_a_path_of_the_project_is_left_alone(line: str) -> None:
    assert not list(rules.workplace_words("README.md", line))


@pytest.mark.parametrize(
    ("line", "found"),
    [("# TODO: later", True), ("# TODO (#12): later", False), ("# FIXME later", True)],
    ids=["no issue", "an issue", "fixme"],
)
def test_work_to_do_without_an_issue_is_found(line: str, found: bool) -> None:
    assert bool(list(rules.unnumbered_todos("a.py", line))) is found


@pytest.mark.parametrize(
    ("name", "text", "offences"),
    [
        ("2.added.rst", "There is ``lxc``.\n", 0),
        ("2.added.2.rst", "There is ``lxc``.\n", 0),
        ("2.feature.rst", "There is ``lxc``.\n", 1),
        ("lxc.rst", "lxc fixture\n", 2),
    ],
    ids=["right", "a second one", "unknown kind", "all wrong"],
)
def test_a_fragment_is_judged_by_name_and_sentence(name: str, text: str, offences: int) -> None:
    assert len(list(rules.crooked_fragment(f"changelog.d/{name}", text))) == offences
