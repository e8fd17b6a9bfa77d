"""A PostgreSQL for the history's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_proxmox.database.server import TemporaryPostgres


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A server of its own for these tests."""
    server = TemporaryPostgres().start()
    yield server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    server.stop()
