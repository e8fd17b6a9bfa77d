"""Finds a browser where Playwright's own download is missing, and says what else is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Playwright's own headless browser is such a shell too: without a window it is much faster.
_SHELLS = ("chromium-headless-shell", "chrome-headless-shell")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_MISSING = "Executable doesn't exist"
HINT = "Run: playwright install chromium (or, on Debian: apt install chromium)"


def system_chromium(*, headless: bool = False) -> str | None:
    """Return the path of a Chromium or Chrome that the system has, None where it has none.

    ``headless``: it need not be able to show a window.
    """
    names = (*_SHELLS, *_NAMES) if headless else _NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


def is_missing(error: BaseException) -> bool:
    """Whether a launch failed because Playwright's own browser was never downloaded."""
    return _MISSING in str(error)


def instead(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return launch arguments for the system's Chromium; None where it cannot stand in."""
    is_seen = os.environ.get("PWDEBUG") or not given.get("headless", True)
    path = system_chromium(headless=not is_seen)
    if path is None or "executable_path" in given or "channel" in given:
        return None
    sandboxed = sys.platform != "linux" or os.geteuid() != 0  # Chromium refuses root a sandbox
    extra = _QUIET if sandboxed else ("--no-sandbox", *_QUIET)
    return {**given, "executable_path": path, "args": [*given.get("args", ()), *extra]}


def has_ffmpeg(executable: str) -> bool:
    """Whether Playwright's own ffmpeg, which records video, lies beside its browser.

    ``executable`` is where Playwright expects the browser, downloaded or not.
    """
    for folder in Path(executable).parents:
        if folder.name.startswith(("chromium", "firefox", "webkit")):
            return any(folder.parent.glob("ffmpeg*/ffmpeg*"))
    return any(Path(executable).parent.glob("ffmpeg*"))
