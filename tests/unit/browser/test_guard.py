"""The guard's own objects: what they wrap, give back, and let through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from playwright import async_api, sync_api

from pytest_proxmox.browser.guard import Expectation, Guard
from pytest_proxmox.errors import PageClosedError


class Inner:
    """What Playwright's ``expect_popup`` gives: the wait ends where the block does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.value = "what was waited for"

    def __enter__(self) -> Inner:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.error is not None:
            raise self.error

    async def __aenter__(self) -> Inner:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__(*raised)


def wait(expectation: Expectation) -> Any:
    """Return what a test reads behind its block."""
    with expectation as event:
        pass
    return event.value


def wait_async(expectation: Expectation) -> Any:
    """Return the same in an async test."""

    async def waited() -> Any:
        async with expectation as event:
            pass
        return event.value

    return asyncio.run(waited())


BOTH = pytest.mark.parametrize("read", [wait, wait_async], ids=["sync", "async"])
Read = Callable[[Expectation], Any]


@BOTH
def test_wait_that_succeeds_is_let_through(read: Read) -> None:
    judged: list[Any] = []
    expectation = Expectation(Inner(), "page", "Page.expect_popup", TimeoutError, judged.append)
    assert read(expectation) == expectation.value == "what was waited for"
    assert judged == []


@BOTH
def test_wait_that_fails_is_judged_with_the_page_it_was_for(read: Read) -> None:
    def failed(*told: Any) -> None:
        raise PageClosedError(str(told))

    inner = Inner(TimeoutError("30 s"))
    with pytest.raises(PageClosedError) as caught:
        read(Expectation(inner, "page", "Page.expect_popup", TimeoutError, failed))
    assert str(caught.value) == str(("Page.expect_popup", "page", inner.error))


@BOTH
def test_wait_that_fails_with_its_page_alive_keeps_its_error(read: Read) -> None:
    judged: list[Any] = []
    inner = Inner(TimeoutError("30 s"))
    with pytest.raises(TimeoutError) as caught:
        read(Expectation(inner, "page", "P", TimeoutError, lambda *told: judged.append(told)))
    assert caught.value is inner.error
    assert judged == [("P", "page", inner.error)]


@pytest.mark.parametrize("page", [sync_api.Page, async_api.Page], ids=["sync", "async"])
def test_methods_are_wrapped_once_and_given_back(page: type) -> None:
    def methods() -> dict[str, Any]:
        return {name: getattr(page, name) for name in ("goto", "close", "expect_popup", "on")}

    before = methods()
    guard = Guard()
    guard.install()
    try:
        wrapped = methods()
        guard.install()
        assert (guard.is_installed, methods()) == (True, wrapped)
        assert not set(wrapped.values()) & set(before.values())
        assert [method.__name__ for method in wrapped.values()] == list(wrapped)
    finally:
        guard.uninstall()
    assert (guard.is_installed, methods()) == (False, before)


@pytest.mark.parametrize("page", [sync_api.Page, async_api.Page], ids=["sync", "async"])
def test_guard_within_a_guard_wraps_the_same_methods(page: type) -> None:
    def methods() -> set[Any]:
        return {getattr(page, name) for name in ("goto", "close", "expect_popup", "on")}

    outer, inner = Guard(), Guard()
    outer.install()
    try:
        around = methods()
        inner.install()
        assert not methods() & around
        inner.uninstall()
        assert methods() == around
    finally:
        inner.uninstall()
        outer.uninstall()
