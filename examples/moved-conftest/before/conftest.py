"""A conftest as many projects have one: all of it is gone afterwards."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient
from manager.db import Base, get_db
from manager.main import create_app
from manager.proxmox import ProxmoxService, get_service
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool


@pytest.fixture(scope="session")
def test_db_engine():
    """One database in memory for all tests."""
    engine = create_engine(
        "sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool
    )
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def db_session(test_db_engine):
    """A session; afterwards the rows of all tables are deleted."""
    session = sessionmaker(test_db_engine)()
    yield session
    session.rollback()
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(table.delete())
    session.commit()
    session.close()


@pytest.fixture
def mock_proxmox_service():
    """A service that agrees with everything."""
    service = MagicMock(spec=ProxmoxService)
    service.create_lxc.return_value = 9001
    service.get_lxc_status.return_value = "running"
    service.destroy_lxc.return_value = None
    return service


@pytest.fixture
def client_with_mock_proxmox(db_session, mock_proxmox_service):
    """A client whose app has the test's session and the mock."""
    app = create_app()
    app.dependency_overrides[get_db] = lambda: db_session
    app.dependency_overrides[get_service] = lambda: mock_proxmox_service
    return TestClient(app)


@pytest.fixture
def cleanup_test_containers():
    """Collects the containers to remove; whoever wrote it never came to remove them."""
    made = []

    def register_container(vmid, node):
        made.append((vmid, node))

    return register_container
