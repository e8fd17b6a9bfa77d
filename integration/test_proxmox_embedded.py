"""The bodies of ``test_proxmox_real.py``, on whatever Proxmox the plugin gives: here, embedded.

No mark that skips and no variable to set: ``proxmox_config`` says where the Proxmox is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integration import test_proxmox_real as plan
from integration.test_proxmox_real import container, node
from src_app.proxmox import ProxmoxService

__all__ = ["container", "node"]  # fixtures that pytest finds by name

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def proxmox_service(proxmox_config: dict[str, Any]) -> Iterator[ProxmoxService]:
    """A service logged in at the plugin's Proxmox; what it made is gone afterwards."""
    service = ProxmoxService(environ={})
    service.connect(**proxmox_config)
    yield service
    service.cleanup_test_containers()


@pytest.fixture(autouse=True)
def same_guests_as_before(proxmox: Any) -> Iterator[None]:
    """Only looks: each body leaves the guests that there were, and no other."""
    before = proxmox.cluster.resources.get(type="vm")
    yield
    assert proxmox.cluster.resources.get(type="vm") == before


async def test_create_lxc(proxmox_service: ProxmoxService) -> None:
    await plan.test_create_lxc_real(proxmox_service)


async def test_clone_lxc(proxmox_service: ProxmoxService) -> None:
    await plan.test_clone_lxc_real(proxmox_service)


async def test_container_starts_and_stops(
    proxmox_service: ProxmoxService, container: dict[str, Any]
) -> None:
    await plan.test_container_starts_and_stops_real(proxmox_service, container)


async def test_start_and_stop_twice_change_nothing(
    proxmox_service: ProxmoxService, container: dict[str, Any]
) -> None:
    await plan.test_start_and_stop_twice_change_nothing_real(proxmox_service, container)


async def test_running_container_is_destroyed(
    proxmox_service: ProxmoxService, container: dict[str, Any]
) -> None:
    await plan.test_running_container_is_destroyed_real(proxmox_service, container)


async def test_missing_template_is_named_and_nothing_stays(
    proxmox_service: ProxmoxService, node: str
) -> None:
    await plan.test_missing_template_is_named_and_nothing_stays_real(proxmox_service, node)


async def test_taken_vmid_is_refused_and_its_guest_untouched(
    proxmox_config: dict[str, Any], proxmox_service: ProxmoxService, container: dict[str, Any]
) -> None:
    await plan.test_taken_vmid_is_refused_and_its_guest_untouched_real(
        proxmox_config, proxmox_service, container
    )


async def test_wrong_password_is_refused_and_not_repeated(proxmox_config: dict[str, Any]) -> None:
    await plan.test_wrong_password_is_refused_and_not_repeated_real(proxmox_config)
