"""tests/app/test_view.py once more, with an address and a weak token."""

from __future__ import annotations

from tests.app.test_view import *  # noqa: F403 - every test, and the fixtures they share
