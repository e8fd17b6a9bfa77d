"""tests/app/test_administration.py once more, with an address and a weak token."""

from __future__ import annotations

from tests.app.test_administration import *  # noqa: F403 - every test, and the fixtures they share
