"""Launches browsers, the system's Chromium where Playwright has no own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pytest_proxmox.browser.chromium import HINT, instead, is_missing

Launch = Callable[..., Any]


def with_system_chromium(launch: Launch, browser: str, given: Mapping[str, Any]) -> Launch:
    """Return ``launch``, sync or async, that falls back on the system's Chromium."""

    def launch_again(error: BaseException, kwargs: dict[str, Any]) -> Any:
        arguments = instead({**given, **kwargs}) if browser == "chromium" else None
        if arguments is None or not is_missing(error):
            if is_missing(error):
                error.add_note(HINT.replace("chromium", browser, 1))
            raise error
        return launch(**arguments)

    def launch_browser(**kwargs: Any) -> Any:
        try:
            launched = launch(**kwargs)
        except Exception as exc:  # noqa: BLE001 - raised again unless a browser is missing
            return launch_again(exc, kwargs)
        return awaited(launched, kwargs) if inspect.isawaitable(launched) else launched

    async def awaited(launched: Any, kwargs: dict[str, Any]) -> Any:
        try:
            return await launched
        except Exception as exc:  # noqa: BLE001 - raised again unless a browser is missing
            return await launch_again(exc, kwargs)

    return launch_browser
