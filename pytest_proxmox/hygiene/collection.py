"""What is read from each test module as it is collected: lint, and mocks that have drifted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

from pytest_proxmox.hygiene import settings
from pytest_proxmox.hygiene.lint import Finding
from pytest_proxmox.hygiene.settings import Level

_MOCKS = (b"strict_mock", b"create_autospec", b"spec=", b"spec_set=")


def judge(collector: pytest.Module, report: pytest.CollectReport) -> list[str]:
    """Fail the module's collection for what is an error, and return what is only told."""
    lint = settings.level(collector.config, settings.LINT)
    drift = settings.level(collector.config, settings.MOCK_DRIFT)
    path = collector.path
    told: list[str] = []
    errors: list[str] = []
    for level, find in ((lint, _lint), (drift, _drift)):
        if level is not Level.OFF:
            (errors if level is Level.ERROR else told).extend(_found(find, collector, path))
    if errors:
        report.outcome = "failed"
        report.result = []
        report.longrepr = "\n".join(errors)
    return told


def _found(
    find: Callable[[pytest.Module, bytes], Iterable[Finding]], collector: pytest.Module, path: Path
) -> list[str]:
    try:
        relative = path.relative_to(collector.config.rootpath).as_posix()
    except ValueError:
        relative = str(path)
    return [finding.render(relative) for finding in find(collector, path.read_bytes())]


def _lint(collector: pytest.Module, source: bytes) -> list[Finding]:
    from pytest_proxmox.hygiene import lint

    return lint.findings(source.decode())


def _drift(collector: pytest.Module, source: bytes) -> list[Finding]:
    fixtures = _mocked_in_conftests(collector)
    if not fixtures and not any(word in source for word in _MOCKS):
        return []
    from pytest_proxmox.hygiene import drift

    return drift.findings(source.decode(), vars(collector.obj), fixtures)


def _mocked_in_conftests(collector: pytest.Module) -> dict[str, type]:
    """Fixtures of the conftests above the module, nearest last."""
    mocked: dict[str, type] = {}
    for plugin in collector.config.pluginmanager.get_plugins():
        file = getattr(plugin, "__file__", None)
        if not isinstance(plugin, ModuleType) or not file or Path(file).name != "conftest.py":
            continue
        if Path(file).parent in collector.path.parents:
            source = Path(file).read_bytes()
            if any(word in source for word in _MOCKS):
                from pytest_proxmox.hygiene import drift

                mocked |= drift.mocked_by_fixtures(ast.parse(source), vars(plugin))
    return mocked
