"""Traces of contexts that are gone before anybody could write them."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path
from typing import Any

_GONE = "_pytest_proxmox_gone"


@cache
def lost() -> type[Exception]:
    """The error that says that a page, context or browser is closed already."""
    from playwright._impl._errors import TargetClosedError  # no public module names it

    return TargetClosedError


def is_cut_off(thing: Any) -> bool:
    """Whether nobody is left to answer: Playwright's own process is gone, or the browser's."""
    fiber = getattr(thing, "_dispatcher_fiber", None)
    return getattr(thing, _GONE, False) or (fiber is not None and bool(fiber.dead))


def cut_off(page: Any) -> None:
    """Note that an action on ``page`` found its browser gone, before any event told."""
    for thing in (page.context, page.context.tracing, page.context.browser):
        if thing is not None:
            setattr(thing, _GONE, True)


def write_lost_trace(why: object, *args: Any, **kwargs: Any) -> None:
    """Write, where a trace was to be, an archive that says why there is none."""
    path = kwargs.get("path") or next(iter(args), None)
    if path is None:
        return
    with zipfile.ZipFile(Path(path), "w") as archive:
        archive.writestr("LOST.txt", f"No trace: {why}\n")
