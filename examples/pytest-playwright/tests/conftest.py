"""The app under test, served from this folder: as in many projects that use pytest-playwright."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

APP = Path(__file__).parents[1]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Leave the test's output to the tests."""


@pytest.fixture(scope="session")
def base_url():
    """The address of the notes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=APP)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
