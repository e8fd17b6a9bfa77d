"""Dialogs that ask, and dialogs that show an operation to its end."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

PATIENCE_MS = 60_000
FINAL = ("succeeded", "failed", "rolled_back", "cancelled")


class TaskDialog:
    """A dialog that begins an operation: a form, then its steps, then its outcome."""

    OUTCOME = "dialog[open] [data-testid=outcome]"
    ERROR = "dialog[open] [data-testid=form-error]"
    DONE = "dialog[open] [data-action=modal-done]"

    def __init__(self, page: Page, id: str) -> None:
        self.page = page
        self.id = id

    @property
    def root(self) -> Locator:
        """The dialog itself."""
        return self.page.locator(f"#{self.id}")

    def wait_for_outcome(self, timeout: float = PATIENCE_MS) -> str:
        """Return how the operation ended."""
        ends = ", ".join(f'#{self.id}[data-state="{state}"]' for state in FINAL)
        self.page.wait_for_selector(ends, timeout=timeout)
        return str(self.root.get_attribute("data-state"))

    def succeed(self, timeout: float = PATIENCE_MS) -> str:
        """Return the operation's id once it has succeeded."""
        outcome = self.wait_for_outcome(timeout)
        told = self.root.inner_text() if outcome != "succeeded" else ""
        assert outcome == "succeeded", f"{self.id}: {outcome}\n{told}"
        return self.operation_id

    @property
    def operation_id(self) -> str:
        """The id of the operation that the dialog shows."""
        return str(self.root.get_attribute("data-operation"))

    def steps(self) -> dict[str, str]:
        """Return each step with its state: complete, active, failed or waiting."""
        pairs: list[tuple[str, str]] = self.root.locator(".progress-step").evaluate_all(
            "steps => steps.map(s => [s.querySelector('span').textContent, s.dataset.state])"
        )
        return dict(pairs)

    def refusal(self) -> str:
        """Return why the manager refused what the form asked for."""
        self.page.wait_for_selector(self.ERROR)
        return self.page.locator(self.ERROR).inner_text()

    def close(self) -> None:
        """Close the dialog; what goes on goes on."""
        if self.page.locator(self.DONE).is_visible():
            self.page.locator(self.DONE).click()
        else:
            self.root.locator(".modal-close").click()
        self.root.wait_for(state="detached")


class ConfirmDialog:
    """The question before something that cannot be undone."""

    ROOT = "#confirmModal"
    YES = "#confirmModal [data-action=confirm-yes]"
    NO = "#confirmModal [data-action=confirm-no]"

    def __init__(self, page: Page) -> None:
        self.page = page

    def accept(self) -> None:
        """Say yes."""
        self.page.click(self.YES)
        self.page.wait_for_selector(self.ROOT, state="detached")

    def refuse(self) -> None:
        """Say no."""
        self.page.click(self.NO)
        self.page.wait_for_selector(self.ROOT, state="detached")
