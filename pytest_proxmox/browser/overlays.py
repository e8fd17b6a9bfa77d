"""Which element is in the way of a click that timed out."""

from __future__ import annotations

from collections.abc import Sequence

_TOOK_IT = " intercepts pointer events"


def overlay(text: str) -> str | None:
    """Return the element that Playwright's call log says was in the way the last time."""
    found = [line for line in text.splitlines() if line.endswith(_TOOK_IT)]
    if not found:
        return None
    element = found[-1].removesuffix(_TOOK_IT).removesuffix(" subtree").strip(" -")
    return element.rpartition(" from ")[2]


def explain(error: BaseException, *, dialogs: Sequence[str] = ()) -> None:
    """Add to a time-out what stood in the way: an element that took the click, or a dialog."""
    if "Timeout" not in type(error).__name__ or getattr(error, "__notes__", None):
        return
    if element := overlay(str(error)):
        error.add_note(
            f"{element} is in the way: it received the click instead. Close it first (its own "
            "button, or Escape), or wait until it is gone; force=True would hide a real fault."
        )
    if dialogs:
        error.add_note(
            f"A dialog is open and blocks the page: {', '.join(dialogs)}. The listener for "
            '"dialog" has to call dialog.accept() or dialog.dismiss().'
        )
