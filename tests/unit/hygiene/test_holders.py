"""What a wider fixture holds is its own; what a global or a test's own fixture holds is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_proxmox.hygiene.holders import held_by_wider_fixture

KEPT: list[object] = []


class Thing:
    """Something that may be left behind."""


class Pool:
    """Keeps things in an attribute of an attribute."""

    def __init__(self) -> None:
        self.idle: dict[str, list[Thing]] = {"idle": []}


@pytest.fixture(scope="module")
def pool() -> Pool:
    """The value of a wider fixture."""
    return Pool()


@pytest.fixture(scope="module")
def local() -> Iterator[Callable[[Thing], None]]:
    """A fixture that keeps things in a local variable of its generator."""
    kept: list[Thing] = []
    yield kept.append
    kept.clear()


@pytest.fixture
def own_pool() -> Pool:
    """The value of a test's own fixture."""
    return Pool()


def test_value_of_a_wider_fixture_holds(pool: Pool) -> None:
    thing = Thing()
    pool.idle["idle"].append(thing)

    assert held_by_wider_fixture(thing)


def test_local_variable_of_a_wider_fixture_holds(local: Callable[[Thing], None]) -> None:
    thing = Thing()
    local(thing)

    assert held_by_wider_fixture(thing)


def test_finaliser_of_a_wider_fixture_holds(request: pytest.FixtureRequest, pool: Pool) -> None:
    thing = Thing()
    definition = request._get_active_fixturedef("pool")
    definition.addfinalizer(lambda: str(thing))

    assert held_by_wider_fixture(thing)


def test_test_s_own_fixture_does_not_hold(own_pool: Pool) -> None:
    thing = Thing()
    own_pool.idle["idle"].append(thing)

    assert not held_by_wider_fixture(thing)


def test_global_does_not_hold() -> None:
    thing = Thing()
    KEPT.append(thing)
    try:
        assert not held_by_wider_fixture(thing)
    finally:
        KEPT.clear()


def test_nobody_does_not_hold() -> None:
    assert not held_by_wider_fixture(Thing())
