"""The canvas: an app's own page inside the manager's."""

from __future__ import annotations

from playwright.sync_api import FrameLocator, Page, expect


class AppCanvasPage:
    """The dialog with the app's frame."""

    ROOT = "#canvasModal"
    NAME = "#canvasAppName"
    FRAME = "#canvasIframe"
    ERROR = "#canvasError"
    CLOSE = '#canvasModal [data-action="canvas-close"]'
    REFRESH = '#canvasModal [data-action="canvas-refresh"]'
    NEW_TAB = '#canvasModal [data-action="canvas-new-tab"]'
    HEADER = '#canvasModal [data-action="toggle-canvas-header"]'

    def __init__(self, page: Page) -> None:
        self.page = page

    def wait_for_canvas_visible(self) -> None:
        """Return once the dialog is open."""
        self.page.wait_for_selector(f"{self.ROOT}.show")

    def wait_for_iframe_load(self) -> None:
        """Return once the app's page has loaded; a canvas that says why not fails at once."""
        ends = ", ".join(f'{self.ROOT}[data-state="{state}"]' for state in ("loaded", "error"))
        self.page.wait_for_selector(ends)
        problem = self.page.locator(self.ERROR)
        assert not problem.is_visible(), problem.inner_text()

    @property
    def content(self) -> FrameLocator:
        """The app's own page."""
        return self.page.frame_locator(self.FRAME)

    @property
    def address(self) -> str:
        """Where the canvas finds the app."""
        return str(self.page.locator(self.FRAME).get_attribute("src"))

    def write(self, name: str, content: bytes) -> None:
        """Have the app's own page store a file; it may write, and never reads the answer."""
        frame = self.page.query_selector(self.FRAME)
        app = frame.content_frame() if frame is not None else None
        assert app is not None, "the canvas shows no app"
        app.evaluate(
            """([name, bytes]) => fetch("data/" + name,
              {method: "POST", mode: "no-cors", body: new Uint8Array(bytes)})""",
            [name, list(content)],
        )

    def read(self, name: str) -> bytes:
        """Return a file of the app as the canvas's address gives it."""
        answer = self.page.request.get(f"{self._origin()}{self.address}data/{name}")
        assert answer.ok, f"{answer.status} {answer.text()}"
        return answer.body()

    def _origin(self) -> str:
        return str(self.page.evaluate("location.origin"))

    def close_canvas(self) -> None:
        """Close the dialog."""
        self.page.click(self.CLOSE)
        expect(self.page.locator(self.ROOT)).to_have_count(0)
