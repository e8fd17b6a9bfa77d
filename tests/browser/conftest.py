"""The demo app, served for the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tests.browser.demo import create_app


class Served(uvicorn.Server):
    """A server in a thread, which says when it answers."""

    def __init__(self) -> None:
        super().__init__(
            uvicorn.Config(create_app(), port=0, log_level="error", timeout_graceful_shutdown=1)
        )
        self.is_up = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_up.set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """The address of the demo app."""
    server = Served()
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.is_up.wait(30)
    try:
        yield server.url
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Contexts of this folder's app: those of another app in the same process are kept."""
    return {**browser_context_args, "base_url": base_url}
