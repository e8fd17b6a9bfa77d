"""What is kept of a failed attempt's pages, in the folder that pytest-playwright uses for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_proxmox.browser.attachments import attach
from pytest_proxmox.browser.diagnosis import death_of
from pytest_proxmox.browser.lives import Moment, PageLife, life_of
from pytest_proxmox.browser.redaction import Redactor

LOG = logging.getLogger("pytest_proxmox.browser")
_SCREENSHOT_MS = 3000  # a page that cannot be painted in this time shows nothing anyway


class Evidence:
    """Writes what is known of pages into an attempt's folder, secrets removed.

    ``calls`` gives the lines of the Proxmox calls since a time.
    """

    def __init__(self, redactor: Redactor, calls: Callable[[float], Sequence[str]]) -> None:
        self._redactor = redactor
        self._calls = calls

    def keep(self, pages: Sequence[Any], folder: Path, *, since: float) -> list[Path]:
        """Return the files that tell of these pages, and of Proxmox since the attempt began."""
        written: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(pages, 1):
            life = life_of(page)
            if life is not None:
                written += self._keep_life(life, folder / f"page-{number}")
            if death_of(page) is None:
                written += self._keep_looks(page, folder / f"page-{number}")
        written += self._write(folder / "proxmox-calls.log", self._calls(since))
        for path in written:
            attach(path)
        return written

    def _keep_life(self, life: PageLife, stem: Path) -> list[Path]:
        ends = []
        if life.crashed_at is not None:
            ends.append(Moment(life.crashed_at, "crashed", life.url))
        if life.closed_at is not None:
            ends.append(Moment(life.closed_at, "closed", life.url))
        opened = Moment(life.opened_at, "opened", "")
        return [
            *self._write(_named(stem, "life.log"), [opened, *life.navigations, *ends]),
            *self._write(_named(stem, "console.log"), life.console),
            *self._write(_named(stem, "network.log"), life.network),
        ]

    def _keep_looks(self, page: Any, stem: Path) -> list[Path]:
        """The picture first: it has a time limit, and a page that has none answers nothing."""
        from playwright.sync_api import Error

        picture = _named(stem, "png")
        try:
            _finished(page, page.screenshot(path=picture, timeout=_SCREENSHOT_MS))
            text = _finished(page, page.content())
        except (Error, RuntimeError) as exc:
            LOG.info("no picture of %s: %s", page.url, str(exc).partition("\n")[0])
            return [picture] if picture.exists() else []
        return [picture, *self._write(_named(stem, "html"), [text])]

    def _write(self, path: Path, lines: Iterable[object]) -> list[Path]:
        text = "".join(f"{line}\n" for line in lines)
        if not text:
            return []
        path.write_text(self._redactor.text(text), encoding="utf-8")
        return [path]


def _named(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def _finished(page: Any, result: Any) -> Any:
    """The value of a sync or async call; an async page's loop stands still between phases."""
    if not asyncio.iscoroutine(result):
        return result
    loop = page._impl_obj._loop
    if loop.is_closed() or loop.is_running():
        result.close()
        raise RuntimeError("the page's event loop cannot be used now")
    return loop.run_until_complete(result)
