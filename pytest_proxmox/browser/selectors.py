"""Whether the selectors of page objects mean exactly one element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Ambiguity(NamedTuple):
    """A selector of a page object that means ``elements`` of them on the page as it is."""

    owner: str
    name: str
    selector: str
    elements: int

    def __str__(self) -> str:
        return f"{self.owner}.{self.name} = {self.selector!r} means {self.elements} elements"


def ambiguous_selectors(page: Page, *page_objects: type) -> list[Ambiguity]:
    """Return the selectors that mean more than one element on ``page`` as it is now.

    A selector is a class attribute in capitals that is a text; one whose name is a plural
    (``CARDS``) is meant to find many.
    """
    found = []
    for owner in page_objects:
        for name, selector in _selectors(owner):
            count = page.locator(selector).count()
            if count > 1:
                found.append(Ambiguity(owner.__name__, name, selector, count))
    return found


def _selectors(owner: type) -> Iterator[tuple[str, str]]:
    for cls in reversed(owner.__mro__):
        for name, value in vars(cls).items():
            if name.isupper() and isinstance(value, str) and not name.endswith("S"):
                yield name, value
