"""How the demo tells what it does."""

from __future__ import annotations

import pytest

from integration.demo.story import Story


@pytest.fixture
def story() -> Story:
    """A teller for this test; ``-s`` lets it be heard."""
    return Story()
