"""A launch is tried again with the system's Chromium, where Playwright's own one is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.browser.launching import with_system_chromium

MISSING = "BrowserType.launch: Executable doesn't exist at /nowhere/chrome"
Start = Callable[..., Any]


class Browsers:
    """A Playwright that has no browser of its own, and starts those whose path it is told."""

    def __init__(self, complaint: str = MISSING) -> None:
        self.complaint = complaint
        self.launched: list[dict[str, Any]] = []

    def launch(self, **given: Any) -> str:
        """Return the name of a browser that runs."""
        self.launched.append(given)
        if "executable_path" not in given:
            raise RuntimeError(self.complaint)
        return "running"

    async def launch_async(self, **given: Any) -> str:
        """Return the same later."""
        return self.launch(**given)


@pytest.fixture
def browsers() -> Browsers:
    """A Playwright without a browser."""
    return Browsers()


@pytest.fixture(params=["sync", "async"])
def start(request: pytest.FixtureRequest) -> Start:
    """Launches as a project does, with ``headless`` in its own arguments for all launches."""

    def started(browsers: Browsers, name: str = "chromium", **given: Any) -> Any:
        own = {"headless": True}
        if request.param == "sync":
            return with_system_chromium(browsers.launch, name, own)(**given)
        return asyncio.run(with_system_chromium(browsers.launch_async, name, own)(**given))

    return started


@pytest.fixture
def chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one program on PATH."""
    path = tmp_path / "chromium"
    path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(path)


def test_system_chromium_is_launched_with_the_same(
    start: Start, browsers: Browsers, chromium: str
) -> None:
    assert start(browsers, slow_mo=5) == "running"
    first, second = browsers.launched
    assert first == {"slow_mo": 5}
    assert (second["executable_path"], second["headless"], second["slow_mo"]) == (chromium, True, 5)


def test_browser_that_starts_is_left_alone(start: Start, browsers: Browsers, chromium: str) -> None:
    assert start(browsers, executable_path=f"{chromium}-of-mine") == "running"
    assert browsers.launched == [{"executable_path": f"{chromium}-of-mine"}]


def test_other_browser_is_not_replaced_and_its_download_is_named(
    start: Start, browsers: Browsers, chromium: str
) -> None:
    assert chromium
    with pytest.raises(RuntimeError, match="doesn't exist") as caught:
        start(browsers, "firefox")
    assert caught.value.__notes__[0].startswith("Run: playwright install firefox ")
    assert len(browsers.launched) == 1


def test_download_is_named_where_no_chromium_can_stand_in(
    start: Start, browsers: Browsers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="doesn't exist") as caught:
        start(browsers)
    assert caught.value.__notes__[0].startswith("Run: playwright install chromium ")


def test_launch_that_fails_otherwise_is_not_tried_again(start: Start, chromium: str) -> None:
    assert chromium
    crashing = Browsers("Target page, context or browser has been closed")
    with pytest.raises(RuntimeError, match="has been closed") as caught:
        start(crashing)
    assert not hasattr(caught.value, "__notes__")
    assert len(crashing.launched) == 1
