"""The kinds of things that a test may leave behind, with the options and ini keys of each.

Declared when pytest starts, so this module is light.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_proxmox.hygiene.policy import Policy

STRICT_ASYNC = "strict_async"
ALLOW = "hygiene_allow"
SINGLETONS = "reset_singletons"
LINT = "hygiene_lint"
MOCK_DRIFT = "hygiene_mock_drift"
CLOCK_MODULES = "virtual_clock_modules"
_LOOP_SCOPE = "asyncio_default_fixture_loop_scope"
_DEST = "proxmox_strict_async"


class Level(StrEnum):
    """What happens when something is found."""

    OFF = "off"  # not looked at
    WARN = "warn"  # told at the end of the run
    ERROR = "error"  # the test fails


class Kind(NamedTuple):
    """One kind of thing that a test may leave behind."""

    name: str
    ini: str
    default: Level
    predicate: str  # what is wrong with the thing that the offence names
    advice: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "coroutine",
            "hygiene_coroutines",
            Level.ERROR,
            "was never awaited",
            "Await it, give it to a task, or close() it",
        ),
        Kind(
            "task",
            "hygiene_tasks",
            Level.ERROR,
            "was still pending",
            "Await it, or cancel it and await that",
        ),
        Kind(
            "thread",
            "hygiene_threads",
            Level.ERROR,
            "was still running",
            "Stop it and join it",
        ),
        Kind(
            "process",
            "hygiene_processes",
            Level.ERROR,
            "was still running",
            "Terminate it and wait for it",
        ),
        Kind("socket", "hygiene_sockets", Level.ERROR, "was still open", "Close it"),
        Kind(
            "environ",
            "hygiene_environ",
            Level.ERROR,
            "and not set back",
            "Use monkeypatch.setenv or monkeypatch.delenv",
        ),
        Kind(
            "cwd",
            "hygiene_cwd",
            Level.ERROR,
            "and not set back",
            "Use monkeypatch.chdir",
        ),
        Kind(
            "singleton",
            "hygiene_singletons",
            Level.OFF,  # it is set back in any case
            "was changed",
            "It was set back; make the test do so itself",
        ),
    )
}


def add_options(parser: pytest.Parser) -> None:
    """Declare the flag and the keys."""
    group = parser.getgroup("proxmox", "Proxmox VE")
    group.addoption(
        "--strict-async",
        dest=_DEST,
        action="store_true",
        default=None,
        help="fail a test that leaves a coroutine unawaited or a task pending (default)",
    )
    group.addoption(
        "--no-strict-async",
        dest=_DEST,
        action="store_false",
        default=None,
        help="do not look for unawaited coroutines and pending tasks",
    )
    parser.addini(
        STRICT_ASYNC, "what --strict-async says (default: true)", type="bool", default=True
    )
    levels = "off, warn or error"
    for kind in KINDS.values():
        text = f"{kind.name} that a test leaves behind: {levels} (default: {kind.default})"
        parser.addini(kind.ini, text, default=str(kind.default))
    parser.addini(ALLOW, "what any test may leave behind: kind or kind:glob", type="linelist")
    parser.addini(SINGLETONS, "package.module:NAME, set back after each test", type="linelist")
    parser.addini(LINT, f"tests that cannot fail, sleeps: {levels} (default: off)", default="off")
    parser.addini(
        MOCK_DRIFT, f"strict mocks that the class has outgrown: {levels}", default="error"
    )
    parser.addini(
        CLOCK_MODULES, "modules whose time the virtual_clock fixture rules", type="linelist"
    )


def set_loop_scope(config: pytest.Config) -> None:
    """Say what pytest-asyncio does anyway where nobody said it.

    Unset, it warns while it is configured, which ``-W error`` makes an internal error. The
    value keeps each fixture on the loop of its own scope, as unset does.
    """
    asyncio_plugin = sys.modules.get("pytest_asyncio.plugin")
    if asyncio_plugin is None or not config.pluginmanager.hasplugin("asyncio"):
        return
    if config.getini(_LOOP_SCOPE):
        return
    keep = getattr(asyncio_plugin, "_MATCH_FIXTURE_SCOPE", "function")
    config._inicache[_LOOP_SCOPE] = keep  # pytest has no public way to give an ini key a value


def level(config: pytest.Config, key: str) -> Level:
    """Return the level that an ini key spells.

    Raises:
        pytest.UsageError: it is none.
    """
    text = config.getini(key)
    try:
        return Level(text)
    except ValueError as exc:
        raise pytest.UsageError(f'ini key {key}: "{text}" is none of {", ".join(Level)}.') from exc


def is_strict_async(config: pytest.Config) -> bool:
    """Return whether coroutines and tasks are looked at; the flag wins over the ini key."""
    given: bool | None = config.getoption(_DEST)
    return bool(config.getini(STRICT_ASYNC)) if given is None else given


def describe(config: pytest.Config) -> list[str]:
    """Return the header's line about what differs from the defaults, each with its source."""
    place = config.inipath.name if config.inipath else "-o"
    given: bool | None = config.getoption(_DEST)
    told = []
    if given is not None:
        flag = "--strict-async" if given else "--no-strict-async"
        told.append(f"strict async {'on' if given else 'off'} ({flag})")
    elif not config.getini(STRICT_ASYNC):
        told.append(f"strict async off ({place})")
    for kind in KINDS.values():
        if (level := config.getini(kind.ini)) != kind.default:
            told.append(f"{kind.name} {level} ({place})")
    if (lint := config.getini(LINT)) != Level.OFF:
        told.append(f"lint {lint} ({place})")
    return [f"hygiene: {', '.join(told)}"] if told else []


def policy(config: pytest.Config) -> Policy:
    """Return the policy that the keys spell.

    Raises:
        InvalidValue: a key's value cannot be used.
    """
    from pytest_proxmox.hygiene import policy as rules

    return rules.resolve(
        {kind.name: config.getini(kind.ini) for kind in KINDS.values()},
        config.getini(ALLOW),
        strict_async=is_strict_async(config),
        origin=config.inipath.name if config.inipath else "-o",
    )
