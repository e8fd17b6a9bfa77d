"""Each way to lose a page ends as the catalogue says, and the next test has a page again."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from pytest_proxmox.browser import PageClosedError
from tests.browser.losses import CATALOGUE, Loss

STEPS = [
    pytest.param(loss, then, id=f"{loss.name}{', then' if then else ''}")
    for loss in CATALOGUE
    for then in (False, True)
]


def test_catalogue_is_as_large_as_it_says() -> None:
    assert len(CATALOGUE) >= 25
    lost = [loss for loss in CATALOGUE if loss.outcome in ("closed", "crashed", "disconnected")]
    assert len(lost) >= 15


@pytest.mark.parametrize(("loss", "then"), STEPS)
def test_page_is_lost_as_told(page: Page, loss: Loss, *, then: bool) -> None:
    page.goto("/")
    if then:
        expect(page).to_have_title("Demo")
        return
    began = time.time()
    error = _error_of(loss, page)
    if loss.outcome in ("closed", "crashed", "disconnected"):
        assert isinstance(error, PageClosedError), repr(error)
        assert error.cause == loss.outcome, error
        assert error.closed_at is not None
        assert began - 1 <= error.closed_at.timestamp() <= time.time()
        assert loss.last in "".join(error.last_actions[-1:]), error
    else:
        assert not isinstance(error, PageClosedError), error
        assert (type(error).__name__ if error else None) == loss.outcome, error
    assert loss.told in f"{error}{getattr(error, '__notes__', '')}"


def _error_of(loss: Loss, page: Page) -> BaseException | None:
    try:
        loss.lose(page)
    except BaseException as exc:  # noqa: BLE001 - which one it is, is the question
        return exc
    return None
