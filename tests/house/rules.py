"""The house rules as functions from a file to its offences (house style, rules 1 to 16)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.source import Documented, FunctionNode, Offence, Source

FUNCTION_LINES_AIM = 40
FUNCTION_LINES_LIMIT = 60
MODULE_LINES_LIMIT = 500
TEST_MODULE_LINES_LIMIT = 800  # tables of cases, and fakes next to what they stand for
TEST_ROOMS = ("tests", "integration", "e2e_tests", "examples", "docs")
NAMELESS = {"util", "utils", "helper", "helpers", "common", "misc", "stuff", "tools"}

# Absolute paths of somebody's machine, and hosts of package registries.
WORKPLACE = re.compile(
    r"(?<![\w.~-])/(?:home/|Users/|root/|work/)\w"
    r"|[A-Z]:\\Users\\"
    r"|\b(?:files\.pythonhosted|pypi|registry\.npmjs|deb\.debian)\.org\b"
)
UNNUMBERED_TODO = re.compile(r"\b(?:TODO|FIXME)\b(?!\s*\(#\d+\))")
JUDGEMENT = re.compile(
    r"assert|raises|warns|expect\(|fail\(|match_lines|verify|check|suppress"
    r"|validate\(|run_state_machine|\.test_"
)
FRAGMENT = re.compile(r"(?:\d+|\+[\w-]+)\.(?:added|changed|fixed|removed|security)(?:\.\d+)?\.rst")


def length(node: FunctionNode) -> int:
    """Return a function's lines from ``def`` to its last, docstring included."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def functions(source: Source) -> Iterator[tuple[str, FunctionNode]]:
    """Yield each function of the file with its dotted name, nested ones too."""
    for name, node in source.definitions():
        if isinstance(node, FunctionNode):
            yield name, node


def long_functions(source: Source) -> Iterator[Offence]:
    """Yield each function over the limit that nothing excuses."""
    for name, node in functions(source):
        if length(node) > FUNCTION_LINES_LIMIT:
            yield source.offence(
                node.lineno,
                f"{name} has {length(node)} lines; {FUNCTION_LINES_LIMIT} is the limit",
            )


def longish_functions(source: Source) -> dict[str, Offence]:
    """Return the functions over the aim, by ``path::name``: each needs a reason."""
    return {
        f"{source.path}::{name}": source.offence(
            node.lineno, f"{name} has {length(node)} lines; aim for {FUNCTION_LINES_AIM}"
        )
        for name, node in functions(source)
        if length(node) > FUNCTION_LINES_AIM
    }


def long_module(source: Source) -> Iterator[Offence]:
    """Yield the file itself when it is too long to be one noun."""
    lines = len(source.text.splitlines())
    limit = TEST_MODULE_LINES_LIMIT if source.room in TEST_ROOMS else MODULE_LINES_LIMIT
    if lines > limit:
        yield source.offence(lines, f"{lines} lines; {limit} is the limit: is it still one noun?")


def undocumented(source: Source) -> Iterator[Offence]:
    """Yield each public function, class or fixture whose docstring does not open with a sentence.

    Public is what has no leading underscore on its whole dotted name and is not inside a
    function. In the test folders only fixtures count: a test's name is its sentence.
    """
    tests_only = source.room in TEST_ROOMS
    for name, node in public_definitions(source.tree, ""):
        if (tests_only and not is_fixture(node)) or is_restatement(node):
            continue
        first_line = (ast.get_docstring(node) or "").partition("\n")[0]
        if not first_line:
            yield source.offence(node.lineno, f"{name} has no docstring")
        elif not first_line.endswith((".", "?", "!", "…")):
            yield source.offence(node.lineno, f"{name}: the first line is not a sentence")


def public_definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Documented]]:
    """Yield the public functions and classes below ``node``, dunders and locals left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented):
            if child.name.startswith("_"):
                continue
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from public_definitions(child, prefix)


def is_fixture(node: Documented) -> bool:
    """Return whether ``node`` is a fixture, pytest's or pytest-asyncio's."""
    makers = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(ast.unparse(maker).split(".")[-1] == "fixture" for maker in makers)


def is_restatement(node: Documented) -> bool:
    """Return whether the docstring stands elsewhere: an override, overload or setter."""
    return any(
        ast.unparse(decorator).split(".")[-1] in ("override", "overload", "setter", "deleter")
        for decorator in node.decorator_list
    )


def sleeps(source: Source) -> Iterator[Offence]:
    """Yield each use of ``time.sleep``: waiting goes through the Clock port."""
    for node in ast.walk(source.tree):
        called = isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep"
        imported = (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and any(alias.name == "sleep" for alias in node.names)
        )
        if called or imported:
            line = getattr(node, "lineno", 1)
            yield source.offence(line, "time.sleep; take a Clock as an argument instead")


def swallowed_exceptions(source: Source) -> Iterator[Offence]:
    """Yield each handler that does nothing, and each suppression of everything."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and all(map(_does_nothing, node.body)):
            yield source.offence(
                node.lineno, "an exception is swallowed; suppress the one type and say why"
            )
        elif isinstance(node, ast.Call) and _suppresses_all(node):
            yield source.offence(node.lineno, "every exception is suppressed")


def _suppresses_all(call: ast.Call) -> bool:
    types = {ast.unparse(argument) for argument in call.args}
    return ast.unparse(call.func).endswith("suppress") and bool(
        types & {"Exception", "BaseException"}
    )


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is ...
    )


def stubs(source: Source) -> Iterator[Offence]:
    """Yield each ``raise NotImplementedError`` outside tests: nothing half-built is kept."""
    if source.room in TEST_ROOMS:
        return
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Raise)
            and node.exc is not None
            and ast.unparse(node.exc).startswith("NotImplementedError")
        ):
            yield source.offence(node.lineno, "NotImplementedError: a stub?")


def tests_without_judgement(source: Source) -> Iterator[Offence]:
    """Yield each test that names nothing that could fail it."""
    in_a_test_file = PurePosixPath(source.path).name.startswith("test_")
    for name, node in functions(source):
        if (
            in_a_test_file
            and node.name.startswith("test_")
            and not JUDGEMENT.search(ast.unparse(node))
        ):
            yield source.offence(node.lineno, f"{name} asserts nothing")


def vmids_made(source: Source) -> Iterator[Offence]:
    """Yield each place that makes a ``Vmid``: called, parsed, or handed over as a maker."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        makers = [node.func, *node.args]
        if any(ast.unparse(maker) in ("Vmid", "Vmid.parse") for maker in makers):
            yield source.offence(node.lineno, "makes a Vmid; parse at the edge, trust inside")


def nameless_path(path: str) -> Iterator[Offence]:
    """Yield the path when a part of it says nothing of what is inside."""
    for part in PurePosixPath(path).parts:
        if part.partition(".")[0] in NAMELESS:
            yield Offence(path, 1, f"{part!r} is not a noun of the domain")


def workplace_words(path: str, text: str) -> Iterator[Offence]:
    """Yield each line with a path of somebody's machine or a package registry's host."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := WORKPLACE.search(line):
            yield Offence(path, number, f"speaks of a workplace: {found[0]}")


def unnumbered_todos(path: str, text: str) -> Iterator[Offence]:
    """Yield each note of work to do that names no issue."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := UNNUMBERED_TODO.search(line):
            yield Offence(path, number, f"{found[0]} without an issue: write (#12) behind it")


def crooked_fragment(path: str, text: str) -> Iterator[Offence]:
    """Yield what is wrong with a changelog fragment: its name, or that it is not a sentence."""
    if not FRAGMENT.fullmatch(PurePosixPath(path).name):
        yield Offence(path, 1, "name it <issue>.<added|changed|fixed|removed|security>.rst")
    if not text.strip().endswith("."):
        yield Offence(path, 1, "write one full sentence to the user")
