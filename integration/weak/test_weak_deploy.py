"""tests/app/test_deploy.py once more, with an address and a weak token."""

from __future__ import annotations

from tests.app.test_deploy import *  # noqa: F403 - every test, and the fixtures they share
