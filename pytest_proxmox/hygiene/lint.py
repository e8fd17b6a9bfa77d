"""Tests that cannot fail, or that wait by the clock: read from a module's source at collection."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

Test = ast.FunctionDef | ast.AsyncFunctionDef
_Block = ast.Module | ast.ClassDef

# A call whose name says that it judges: pytest.raises, self.assertEqual, expect(page).to_have_…,
# mock.assert_called_once, helper check_config(...), result.fnmatch_lines(...), pytest.fail, another
# test, Hypothesis' run_state_machine_as_test.
_JUDGES = re.compile(
    r"(^|_)(assert|expect|raises|warns|fail|verify|check|must|ensure)|match_lines|^test_|_as_test$"
)
# A sleep of one of these is by the clock; a clock of the code's own may well be a fake.
_SLEEPERS = {"", "time", "asyncio", "anyio", "trio", "gevent"}
_ALLOWED = re.compile(r"#\s*lint:\s*([\w-]+)")  # on the line of the finding, with its rule
_STATUS_NAMES = {"status", "status_code"}
_MANY_STATUSES = 3  # of more than one hundred: the test accepts success and failure alike


class Finding(NamedTuple):
    """One place and what is wrong there."""

    line: int
    rule: str
    text: str

    def render(self, path: str) -> str:
        """Return the finding as one line."""
        return f"{path}:{self.line}: {self.text} [{self.rule}]"


def findings(source: str) -> list[Finding]:
    """Return what the rules find in a test module, by line.

    A line with ``# lint: <rule>`` allows itself what that rule finds; say why behind it.
    """
    tree = ast.parse(source)
    found = list(_duplicate_names(tree))
    for test in _tests(tree):
        for rule in _RULES:
            found += rule(test)
    lines = source.splitlines()
    return sorted(
        (one for one in found if one.rule not in _ALLOWED.findall(lines[one.line - 1])),
        key=lambda one: one.line,
    )


def _tests(block: _Block) -> Iterator[Test]:
    for node in block.body:
        if isinstance(node, Test) and node.name.startswith("test"):
            yield node
        elif isinstance(node, ast.ClassDef) and _collects(node):
            yield from _tests(node)


def _collects(node: ast.ClassDef) -> bool:
    return node.name.startswith("Test") or any("TestCase" in ast.unparse(one) for one in node.bases)


def _duplicate_names(block: _Block) -> Iterator[Finding]:
    tests = [node for node in block.body if isinstance(node, Test) and node.name.startswith("test")]
    left = Counter(test.name for test in tests)
    for test in tests:
        left[test.name] -= 1
        if left[test.name]:
            text = f"{test.name} is defined again below, so this one is never run"
            yield Finding(test.lineno, "duplicate-name", text)
    for inner in block.body:
        if isinstance(inner, ast.ClassDef):
            yield from _duplicate_names(inner)


def _no_assertion(test: Test) -> Iterator[Finding]:
    if _is_stub(test) or any(_judges(node) for node in ast.walk(test)):
        return
    text = f"{test.name} has no assertion: it passes whatever the code does"
    yield Finding(test.lineno, "no-assertion", text)


def _is_stub(test: Test) -> bool:
    """Whether it only skips or is marked as not to be run."""
    return any("skip" in ast.unparse(one) for one in test.decorator_list) or any(
        _name(node).endswith("skip") for node in ast.walk(test) if isinstance(node, ast.Call)
    )


def _judges(node: ast.AST) -> bool:
    if isinstance(node, (ast.Assert, ast.Raise)):
        return True
    return isinstance(node, ast.Call) and bool(_JUDGES.search(_name(node).rpartition(".")[2]))


def _tautological_status(test: Test) -> Iterator[Finding]:
    for node in ast.walk(test):
        if not (isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In)):
            continue
        statuses = _numbers(node.comparators[0])
        named = ast.unparse(node.left).rpartition(".")[2] in _STATUS_NAMES
        if named and len(statuses) >= _MANY_STATUSES and len({one // 100 for one in statuses}) > 1:
            text = f"any of {statuses} will do: success and failure both pass"
            yield Finding(node.lineno, "tautological-status", text)


def _numbers(node: ast.expr) -> list[int]:
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return []
    values = [one.value for one in node.elts if isinstance(one, ast.Constant)]
    return [value for value in values if isinstance(value, int)]


def _raises_anything(test: Test) -> Iterator[Finding]:
    for node in ast.walk(test):
        if not (isinstance(node, ast.Call) and _name(node).rpartition(".")[2] == "raises"):
            continue
        first = ast.unparse(node.args[0]) if node.args else ""
        narrowed = any(keyword.arg in ("match", "check") for keyword in node.keywords)
        if first in ("Exception", "BaseException") and not narrowed:
            text = f"pytest.raises({first}) also accepts a TypeError of the test's own"
            yield Finding(node.lineno, "raises-anything", text)


def _hard_sleep(test: Test) -> Iterator[Finding]:
    for node in ast.walk(test):
        if not isinstance(node, ast.Call):
            continue
        last = _name(node)
        sleeps = last == "sleep" and _owner(node) in _SLEEPERS and not _is_zero(node)
        if last == "wait_for_timeout" or sleeps:
            text = (
                f"{ast.unparse(node)} waits by the clock: wait for the event, or use virtual_clock"
            )
            yield Finding(node.lineno, "hard-sleep", text)


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def _owner(call: ast.Call) -> str:
    """The name before the dot, "" without one."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def _name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


_RULES: tuple[Callable[[Test], Iterator[Finding]], ...] = (
    _no_assertion,
    _tautological_status,
    _raises_anything,
    _hard_sleep,
)
