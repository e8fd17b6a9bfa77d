"""The options of reruns, history and reports: declared when pytest starts, so this is light."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_proxmox.flaky.connection import Place

HISTORY_VARIABLE = "FLAKY_HISTORY_URL"
OFF = "off"
QUARANTINE_FILE = "quarantine.toml"
_GROUP = ("proxmox", "Proxmox VE")


class Option(NamedTuple):
    """A flag and the ini key that says the same."""

    flag: str
    ini: str
    help: str
    metavar: str | None = None

    @property
    def dest(self) -> str:
        """The name under which pytest keeps the flag's value."""
        return f"proxmox_{self.flag.lstrip('-').replace('-', '_')}"


HISTORY = Option(
    "--flaky-history",
    "flaky_history",
    "where every attempt is kept: a file, sqlite:///FILE, postgresql://..., or off "
    "(default: a file in pytest's cache folder)",
    "URL",
)
INFRA_RERUNS = Option(
    "--infra-reruns",
    "infra_reruns",
    "how often a test is tried again whose infrastructure failed, or that is known to be flaky "
    "(default: 2)",
    "N",
)
RERUN_NEW = Option("--rerun-new", "rerun_new", "try failed tests again that the history is new to")
QUARANTINE = Option(
    "--quarantine",
    "quarantine_file",
    f"tests that run but do not fail the run (default: {QUARANTINE_FILE} if it exists)",
    "FILE",
)
REPORT = Option("--proxmox-report", "", "write the reports of the run to this folder", "DIR")
_VALUED = (HISTORY, INFRA_RERUNS, QUARANTINE, REPORT)
_KEYS = (
    ("rerun_budget", "reruns of a run at most, in percent of its tests (default: 2)", "2"),
    ("rerun_budget_least", "reruns that any run may make (default: 5)", "5"),
    (
        "rerun_guard",
        "failing tests, in percent, from which on nothing is rerun (default: 20)",
        "20",
    ),
)


class RerunRules(NamedTuple):
    """How much may be tried again: attempts a test, and limits of the run."""

    reruns: int
    budget_percent: float
    budget_least: int
    guard_percent: float
    rerun_new: bool

    def budget(self, tests: int) -> int:
        """Return how many reruns a run of so many tests may make."""
        return max(self.budget_least, int(tests * self.budget_percent / 100))


def add_options(parser: pytest.Parser) -> None:
    """Declare the flags and the keys."""
    group = parser.getgroup(*_GROUP)
    for option in _VALUED:
        group.addoption(
            option.flag, dest=option.dest, metavar=option.metavar, help=option.help, default=None
        )
        if option.ini:
            parser.addini(option.ini, option.help, default=None)
    group.addoption(
        RERUN_NEW.flag, dest=RERUN_NEW.dest, action="store_true", default=None, help=RERUN_NEW.help
    )
    parser.addini(RERUN_NEW.ini, RERUN_NEW.help, type="bool", default=False)
    for name, text, default in _KEYS:
        parser.addini(name, text, default=default)


def has_reruns(config: pytest.Config) -> bool:
    """Return whether pytest-rerunfailures is loaded: by itself, or as -p pytest_rerunfailures."""
    manager = config.pluginmanager
    return manager.hasplugin("rerunfailures") or manager.hasplugin("pytest_rerunfailures")


def is_wanted(config: pytest.Config) -> bool:
    """Return whether this run keeps a history, reruns tests or writes reports."""
    if config.option.collectonly:
        return False
    if has_reruns(config):
        return True
    asked = [_given(config, option)[0] is not None for option in _VALUED]
    return any(asked) or bool(os.environ.get(HISTORY_VARIABLE)) or _quarantine_exists(config)


def history_text(config: pytest.Config) -> tuple[str | None, str]:
    """Return what was said of the history's place, and where; None is the default place."""
    text, origin = _given(config, HISTORY)
    if origin.startswith("option"):
        return text, origin
    if variable := os.environ.get(HISTORY_VARIABLE):
        return variable, f"environment variable {HISTORY_VARIABLE}"
    return text, origin


def history_place(config: pytest.Config) -> Place | None:
    """Return where the history lies, None when it is off.

    Raises:
        InvalidValue: the URL is of a database that cannot hold one.
    """
    from pytest_proxmox.flaky.connection import Place

    text, origin = history_text(config)
    if text is not None:
        if text == OFF:
            return None
        place = Place.parse(text, origin=origin)
        if place.path is not None and not place.path.is_absolute():
            base = config.rootpath if origin.startswith("ini") else config.invocation_params.dir
            place = Place(base / place.path)
        return place
    folder = cache_folder(config)
    return None if folder is None else Place(folder / "history.sqlite")


def cache_folder(config: pytest.Config) -> Path | None:
    """Return our folder in pytest's cache, None where the cache is off."""
    cache = getattr(config, "cache", None)
    return None if cache is None else Path(cache.mkdir("proxmox"))


def quarantine_path(config: pytest.Config) -> Path | None:
    """Return the quarantine file to read, None when there is none.

    Raises:
        pytest.UsageError: the file that was named does not exist.
    """
    text, origin = _given(config, QUARANTINE)
    if text is None:
        path = config.rootpath / QUARANTINE_FILE
        return path if path.is_file() else None
    base = config.rootpath if origin.startswith("ini") else config.invocation_params.dir
    path = base / text
    if not path.is_file():
        raise pytest.UsageError(
            f"there is no quarantine file {path} ({origin}). Make it, or leave the option away."
        )
    return path


def report_folder(config: pytest.Config) -> Path | None:
    """Return the folder for the run's reports, None when none are wanted."""
    text = config.getoption(REPORT.dest)
    return None if text is None else config.invocation_params.dir / text


def rerun_rules(config: pytest.Config) -> RerunRules:
    """Return the limits of reruns.

    Raises:
        pytest.UsageError: a value is no number in its range.
    """
    text, origin = _given(config, INFRA_RERUNS)
    given = config.getoption(RERUN_NEW.dest)
    return RerunRules(
        reruns=2 if text is None else int(_number(text, origin, whole=True)),
        budget_percent=_key(config, "rerun_budget"),
        budget_least=int(_key(config, "rerun_budget_least", whole=True)),
        guard_percent=_key(config, "rerun_guard"),
        rerun_new=bool(config.getini(RERUN_NEW.ini)) if given is None else True,
    )


def describe(config: pytest.Config) -> list[str]:
    """Return the header's line about what differs from the defaults, each with its source."""
    told = []
    text, origin = history_text(config)
    if text is not None:
        place = text if text == OFF else history_place(config)
        told.append(f"history {place} ({_short(origin)})")
    for name, option in (("infra reruns", INFRA_RERUNS), ("quarantine", QUARANTINE)):
        text, origin = _given(config, option)
        if text is not None:
            told.append(f"{name} {text} ({_short(origin)})")
    if rerun_rules(config).rerun_new:
        told.append("new tests are rerun")
    return [f"flaky: {', '.join(told)}"] if told else []


def _short(origin: str) -> str:
    return origin.split(" ", 1)[1] if origin.startswith(("option", "environment")) else origin


def _given(config: pytest.Config, option: Option) -> tuple[str | None, str]:
    text = config.getoption(option.dest)
    if text is not None:
        return text, f"option {option.flag}"
    if not option.ini:
        return None, ""
    value = config.getini(option.ini)
    return (None if value is None else str(value)), f"ini key {option.ini}"


def _quarantine_exists(config: pytest.Config) -> bool:
    return (config.rootpath / QUARANTINE_FILE).is_file()


def _key(config: pytest.Config, name: str, *, whole: bool = False) -> float:
    return _number(str(config.getini(name)), f"ini key {name}", whole=whole)


def _number(text: str, origin: str, *, whole: bool) -> float:
    try:
        value = int(text) if whole else float(text.removesuffix("%"))
    except ValueError:
        value = -1
    if value < 0:
        kind = "whole number" if whole else "number"
        raise pytest.UsageError(f'"{text}" ({origin}) is no {kind} of 0 or more.')
    return value
