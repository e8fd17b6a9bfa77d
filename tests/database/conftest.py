"""The reference app's database on SQLite and on PostgreSQL: ``DB_URL=postgresql`` switches."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import Session

from pytest_proxmox.database.helper import DatabaseTestHelper
from src_app.db.models import Base
from src_app.db.repositories import RepositoryFactory
from tests.database.factories import Cluster, rows_in, seed_cluster


@pytest.fixture(scope="session")
def db_metadata() -> MetaData:
    """The reference app's schema."""
    return Base.metadata


@pytest.fixture(scope="session")
def db_url() -> str:
    """SQLite in a file, as the app's default is; TEST_DB_URL names another."""
    return os.environ.get("TEST_DB_URL", "sqlite:///test.db")


@pytest.fixture
def repositories(db_session: Session) -> RepositoryFactory:
    """All repositories on the test's session."""
    return RepositoryFactory(db_session)


@pytest.fixture
def rows(db_session: Session, db_helper: DatabaseTestHelper) -> Iterator[None]:
    """The factories, bound to the test's session."""
    with rows_in(db_session, db_helper.ids):
        yield


@pytest.fixture
def cluster(rows: None) -> Cluster:
    """A seeded cluster of three nodes."""
    return seed_cluster()
