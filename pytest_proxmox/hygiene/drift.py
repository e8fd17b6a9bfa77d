"""Stubs that their class has outgrown, found in a module's source before any test runs.

A strict mock refuses such a stub when the test makes it; here the module is refused at
collection, so that a renamed method shows at once, in every test that stubs the old name.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_proxmox.hygiene.lint import Finding

_MAKER = "strict_mock"
_SPECCED = {"Mock", "MagicMock", "AsyncMock", "NonCallableMock"}  # with spec=, spec_set=
_AUTOSPEC = "create_autospec"
_STUBBING = {"returns", "raises", "does", "when"}
_RULE = "mock-drift"

Scope = dict[str, type]


def findings(source: str, names: Mapping[str, Any], fixtures: Mapping[str, type]) -> list[Finding]:
    """Return each stub in the source whose method, attribute or parameter does not exist.

    ``names`` are the module's globals; ``fixtures`` says which class a fixture of another
    module (a conftest) mocks.
    """
    tree = ast.parse(source)
    known = {**fixtures, **mocked_by_fixtures(tree, names)}
    found: list[Finding] = []
    outer = _assigned(tree.body, names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += _made(node, names)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
            given = {name: cls for name, cls in known.items() if name in arguments}
            scope = {**outer, **given, **_assigned(ast.walk(node), names)}
            found += _used(node, scope)
    wanted = set(_lines_that_raise(tree))
    return sorted({one for one in found if one.line not in wanted}, key=lambda one: one.line)


def _lines_that_raise(tree: ast.Module) -> Iterator[int]:
    """The lines of ``with pytest.raises(...)`` blocks: a stub there is wrong on purpose."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(
            "raises(" in ast.unparse(item.context_expr) for item in node.items
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def mocked_by_fixtures(tree: ast.Module, names: Mapping[str, Any]) -> Scope:
    """Return the class that each fixture of the module gives a mock of, by its name."""
    mocked: Scope = {}
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if not any("fixture" in ast.unparse(one) for one in node.decorator_list):
            continue
        local = _assigned(ast.walk(node), names)
        for inner in ast.walk(node):
            given = inner.value if isinstance(inner, (ast.Return, ast.Yield)) else None
            cls = _class_of(given, names) if given is not None else None
            if cls is None and isinstance(given, ast.Name):
                cls = local.get(given.id)
            if cls is not None:
                mocked[node.name] = cls
    return mocked


def _assigned(nodes: Any, names: Mapping[str, Any]) -> Scope:
    """Variables that hold a mock, with the class it stands for."""
    scope: Scope = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and (cls := _class_of(node.value, names)) is not None:
            scope |= {one.id: cls for one in node.targets if isinstance(one, ast.Name)}
    return scope


def _class_of(node: ast.expr | None, names: Mapping[str, Any]) -> type | None:
    """The class that a call makes a mock of; None for anything else."""
    if not isinstance(node, ast.Call):
        return None
    maker = ast.unparse(node.func).rpartition(".")[2]
    spec = next((one.value for one in node.keywords if one.arg in ("spec", "spec_set")), None)
    if maker in (_MAKER, _AUTOSPEC) and node.args:
        spec = node.args[0]
    elif maker not in _SPECCED:
        return None
    found = _resolved(spec, names) if spec is not None else None
    return found if isinstance(found, type) else None


def _resolved(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolved(node.value, names), node.attr, None)
    return None


def _made(call: ast.Call, names: Mapping[str, Any]) -> Iterator[Finding]:
    """Stubs that are given to ``strict_mock`` itself."""
    if not ast.unparse(call.func).endswith(_MAKER):
        return
    cls = _class_of(call, names)
    if cls is None:
        return
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield from _attribute(cls, keyword.arg, keyword.value.lineno)
            yield from _lambda(cls, keyword.arg, keyword.value)


def _used(function: ast.AST, scope: Scope) -> Iterator[Finding]:
    """What a function says about the mocks it knows."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            cls = scope.get(node.value.id)
            if cls is not None and not _is_of_mock(node.attr):
                yield from _attribute(cls, node.attr, node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _stubbing(node, node.func, scope)


def _is_of_mock(name: str) -> bool:
    """Whether the name is unittest.mock's own, as ``assert_called_once``."""
    return name.startswith(("assert_", "_")) or name in {
        "return_value", "side_effect", "call_count", "called", "call_args", "call_args_list",
        "mock_calls", "method_calls", "await_count", "attach_mock", "configure_mock", "reset_mock",
        "mock_add_spec",
    }  # fmt: skip


def _stubbing(call: ast.Call, function: ast.Attribute, scope: Scope) -> Iterator[Finding]:
    """``mock.method.when(vmid=1)``, ``mock.method.does(lambda vmid: …)``."""
    target = function.value
    if function.attr not in _STUBBING or not isinstance(target, ast.Attribute):
        return
    cls = scope.get(target.value.id) if isinstance(target.value, ast.Name) else None
    if cls is None:
        return
    if function.attr == "when":
        wanted = {one.arg for one in call.keywords if one.arg is not None}
        yield from _parameters(cls, target.attr, wanted, call.lineno)
    if function.attr == "does" and call.args:
        yield from _lambda(cls, target.attr, call.args[0])


def _lambda(cls: type, method: str, value: ast.expr) -> Iterator[Finding]:
    if isinstance(value, ast.Lambda):
        wanted = {one.arg for one in (*value.args.args, *value.args.kwonlyargs)}
        yield from _parameters(cls, method, wanted, value.lineno)


def _attribute(cls: type, name: str, line: int) -> Iterator[Finding]:
    from pytest_proxmox.hygiene.members import knows, unknown

    if not knows(cls, name):
        yield Finding(line, _RULE, unknown(cls, name))


def _parameters(cls: type, method: str, wanted: set[str], line: int) -> Iterator[Finding]:
    function = getattr(cls, method, None)
    if not callable(function):
        return
    parameters = inspect.signature(function).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    if missing := sorted(wanted - parameters.keys()):
        text = f"{cls.__name__}.{method} has no parameter {', '.join(missing)}"
        yield Finding(line, _RULE, text)
