"""The rooms of fixtures, opened with the first file of tests: a start that finds none is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

# Names, not imports: what they hold is loaded when they open.
ROOMS = (
    "pytest_proxmox.fixtures.proxmox",
    "pytest_proxmox.fixtures.database",
    "pytest_proxmox.fixtures.virtual_time",
    "pytest_proxmox.fixtures.browser",
)
PAGES = "pytest_proxmox.fixtures.pages"  # stands in front of pytest-playwright's fixtures
ADDRESS = "pytest_proxmox.fixtures.address"  # for runs whose ini file names an app
_PLAYWRIGHT = (
    "pytest_playwright.pytest_playwright",
    "pytest_playwright_asyncio.pytest_playwright",
)
_BEHIND = (*_PLAYWRIGHT, "pytest_base_url.plugin")  # PAGES and ADDRESS win over these
_DEFINITION = type(pytest.fixture(lambda: None))


def open_once(config: pytest.Config, ours: object) -> None:
    """Register the rooms' fixtures and hooks, unless they are.

    Of fixtures with the same name pytest takes the one that was registered last. The rooms
    count as registered with ``ours``, the plugin they belong to: what came after it wins.
    """
    manager, root = config.pluginmanager, config.rootpath
    if manager.has_plugin(ROOMS[0]):
        return
    plugins = [plugin for _, plugin in manager.list_name_plugin() if plugin is not None]
    later = plugins[plugins.index(ours) + 1 :]
    rooms = (*ROOMS, ADDRESS) if config.getini("app_server") else ROOMS
    for room in rooms:
        manager.import_plugin(room)
    theirs = [module for name in _PLAYWRIGHT if (module := sys.modules.get(name)) is not None]
    if any(manager.is_registered(module) for module in theirs):
        manager.import_plugin(PAGES)
    names = {name for room in rooms for name in _fixtures(manager.get_plugin(room))}
    modules = [
        plugin
        for plugin in later
        if isinstance(plugin, ModuleType) and plugin.__name__ not in _BEHIND
    ]
    for module in sorted(modules, key=_is_conftest):  # a conftest of all tests wins over plugins
        if not _is_conftest(module) or root.is_relative_to(Path(str(module.__file__)).parent):
            _register_again(manager, module, names)


def _fixtures(holder: object) -> dict[str, object]:
    """Return the fixtures that are defined in a module, by name."""
    found = [each for each in vars(holder).values() if isinstance(each, _DEFINITION)]
    return {each.name: each for each in found}


def _is_conftest(plugin: ModuleType) -> bool:
    """Return whether pytest gives a plugin's fixtures to the tests of its folder only."""
    return str(getattr(plugin, "__file__", "")).endswith("conftest.py")


def _register_again(
    manager: pytest.PytestPluginManager, plugin: ModuleType, names: set[str]
) -> None:
    """Let those fixtures of a plugin that have one of the names win over what came meanwhile."""
    winning = {name: each for name, each in _fixtures(plugin).items() if name in names}
    if winning:
        copy = ModuleType(plugin.__name__, plugin.__doc__)
        vars(copy).update(winning)
        manager.register(copy, f"{plugin.__name__} before {ROOMS[0]}")
