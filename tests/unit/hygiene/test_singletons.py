"""Snapshots of singletons: what changed is seen, and set back."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.hygiene.singletons import Name, SingletonWatch


class Logger:
    instance: Any = None

    def __init__(self) -> None:
        self.handlers: list[str] = []


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with a container, an instance and a class that keeps its instance."""
    module: Any = ModuleType("some_app")
    module.state, module.logger, module.Logger = {"deployments": 0}, Logger(), Logger
    monkeypatch.setitem(sys.modules, "some_app", module)
    return module


def watch(*names: str) -> SingletonWatch:
    """Return a watch that has begun."""
    made = SingletonWatch([Name.parse(f"some_app:{name}", "test") for name in names])
    made.install()
    made.begin(1)
    return made


def test_changed_container_is_refilled(app: Any) -> None:
    watching = watch("state")
    given = app.state
    app.state["deployments"] = 3

    assert [offence.name for offence in watching.offences()] == ["some_app:state"]
    assert app.state is given
    assert app.state == {"deployments": 0}


def test_replaced_value_is_put_back(app: Any) -> None:
    watching = watch("Logger.instance")
    app.Logger.instance = object()

    assert watching.suspects()
    watching.offences()
    assert app.Logger.instance is None


def test_attribute_of_an_instance_is_set_back(app: Any) -> None:
    watching = watch("logger")
    app.logger.handlers.append("file")
    app.logger.level = "debug"

    watching.offences()

    assert vars(app.logger) == {"handlers": []}


def test_name_that_appears_is_removed(app: Any) -> None:
    watching = watch("cache")
    app.cache = {}

    watching.offences()

    assert not hasattr(app, "cache")


def test_unchanged_singleton_is_no_suspect(app: Any) -> None:
    watching = watch("state", "logger", "Logger.instance")

    assert not watching.suspects()
    assert watching.offences() == []


def test_change_of_a_wider_fixture_is_taken_over(app: Any) -> None:
    watching = watch("state")

    with watching.outside():
        app.state["deployments"] = 1

    assert not watching.suspects()


@pytest.mark.parametrize("text", ["app.state", "app:", ":state", "app:a b"])
def test_name_without_module_or_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="names no singleton"):
        Name.parse(text, "test")
