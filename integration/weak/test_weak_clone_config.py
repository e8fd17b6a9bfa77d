"""The plan's 13 tests once more, with an address and a weak token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from integration.weak.served import ServedView
from src_app.db.models import User
from src_app.security.tokens import Identity
from src_app.services.app_service import AppService
from src_app.services.manager import Manager
from tests.test_app_clone_config import (
    Stage,
    TestCloneApp,
    TestUpdateAppConfig,
    source_app,
    the_user,
)

__all__ = ["TestCloneApp", "TestUpdateAppConfig", "source_app", "the_user"]
pytestmark = [pytest.mark.asyncio]


@pytest_asyncio.fixture
async def stage(
    manager: Manager, test_user: User, proxmox_simulator: ServedView
) -> AsyncIterator[Stage]:
    """The services on the served Proxmox."""
    identity = Identity(test_user.id, test_user.username, test_user.role)
    service = AppService(manager, identity=identity)
    yield Stage(service, manager, None, proxmox_simulator)  # type: ignore[arg-type]  # looks alike
    manager.store.close()
