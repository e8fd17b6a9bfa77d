"""Task 1.1 of the stabilisation plan: cloning and configuring, each test twice.

Once on the embedded Proxmox, and once on a strict mock of ``ProxmoxService``, which is what the
plan's own mocks become: only what the class has, async where it is.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from pytest_proxmox.mocks import strict_mock
from src_app.configuration import Configuration
from src_app.db.models import App, User
from src_app.domain.errors import (
    AppAlreadyExistsError,
    AppNotFoundError,
    AppOperationError,
    InvalidInput,
)
from src_app.proxmox import ProxmoxService
from src_app.proxmox.errors import RequestFailed
from src_app.proxmox.network import Appliance, NetworkManager
from src_app.security.tokens import Identity
from src_app.services.app_service import AppService
from src_app.services.apps import DeployRequest
from src_app.services.link import ProxmoxLink
from src_app.services.manager import Manager
from tests.app.conftest import PASSWORD, VMIDS, configuration, environment, manager, migrated

if TYPE_CHECKING:
    from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
    from pytest_proxmox.simulator.calls import CallRecord

__all__ = ["configuration", "environment", "manager", "migrated"]
pytestmark = [pytest.mark.asyncio, pytest.mark.vmid_range(size=VMIDS)]


@dataclass
class Stage:
    """The services, and how Proxmox is made to fail and is looked at."""

    service: AppService
    manager: Manager
    proxmox: Any
    embedded: EmbeddedProxmox | None
    last: CallRecord | None = None  # of the calls before this test: only so many are kept

    @property
    def is_mock(self) -> bool:
        return self.embedded is None

    def fail(self, method: str, *, http: str, path: str) -> None:
        """Let Proxmox refuse one kind of request for good."""
        if self.embedded is None:
            refusal = RequestFailed("refused", status=500, reason="unable to do it")
            getattr(self.proxmox, method).raises(refusal)
            return
        self.embedded.faults.add(
            effect="error", status=500, text="unable to do it", method=http, path=path
        )

    def count(self, method: str, *, http: str, path: str) -> int:
        """Return how often Proxmox was asked for something."""
        if self.embedded is None:
            return len(getattr(self.proxmox, method).calls)
        own = itertools.takewhile(lambda call: call != self.last, reversed(self.embedded.calls))
        return sum(1 for call in own if call.method == http and call.path.endswith(path))

    def vmids(self) -> set[int]:
        """Return the containers there are; a mock has none."""
        return set() if self.embedded is None else set(self.embedded.vmids())


@pytest.fixture(name="test_user")
def the_user(manager: Manager) -> User:
    """A complete user, committed."""
    return manager.users.create("tester", PASSWORD, email="tester@example.org")


def mocked() -> Any:
    """The plan's mock: every method that cloning and configuring may call has an answer."""
    mock: Any = strict_mock(
        ProxmoxService,
        clone_lxc={"task_id": "UPID:pve:0001:0001:0001:vzclone:100:root@pam:", "newid": 101},
        network_manager=NetworkManager(Appliance(wan_ip="192.168.1.100")),
        get_resources=[],
        is_vmid_free=True,
        settle="absent",
        await_idle=None,
        drop_clone_snapshots=0,
        start_lxc={"status": "success"},
        stop_lxc={"status": "success"},
        destroy_lxc={"status": "success"},
        get_address="192.168.1.50",
        update_lxc_config={},
        resize_lxc_disk={"status": "success"},
        get_lxc_config={"rootfs": "local-lvm:vm-100-disk-0,size=2G"},
    )
    return mock


@pytest_asyncio.fixture(params=["embedded", "strict_mock"])
async def stage(
    request: pytest.FixtureRequest, manager: Manager, test_user: User
) -> AsyncIterator[Stage]:
    """The services on one of both Proxmoxes."""
    identity = Identity(test_user.id, test_user.username, test_user.role)
    embedded = proxmox = None
    if request.param == "embedded":
        embedded = request.getfixturevalue("proxmox_simulator")
    else:
        proxmox = mocked()
        manager = manager.with_link(ProxmoxLink.to(proxmox))
    last = embedded.calls[-1] if embedded is not None and embedded.calls else None
    yield Stage(AppService(manager, identity=identity), manager, proxmox, embedded, last)
    manager.store.close()


@pytest_asyncio.fixture
async def source_app(stage: Stage, test_user: User, configuration: Configuration) -> App:
    """An app with all its fields; on the embedded Proxmox it runs."""
    if not stage.is_mock:
        return await stage.service.deploy_app(
            DeployRequest("nginx", "source-app", environment={"KEY": "value"})
        )
    values = {
        "id": "nginx-source-app", "catalog_id": "nginx", "name": "Nginx",
        "hostname": "source-app", "version": "2.0", "status": "running", "node": "pve",
        "vmid": configuration.vmids.last, "cores": 1, "memory_mib": 256, "disk_gib": 2,
        "config": {"port": 8080, "icon": "🌐", "category": "web"}, "environment": {},
        "owner_id": test_user.id,
    }  # fmt: skip
    return await stage.manager.store.arun(lambda db: db.apps.create(values))


class TestCloneApp:
    async def test_clone_app_success(self, stage: Stage, source_app: App) -> None:
        clone = await stage.service.clone_app(source_app.id, "cloned-app")
        assert clone.id == "nginx-cloned-app"
        assert clone.status == "running"
        assert clone.vmid not in (None, source_app.vmid)
        assert stage.count("clone_lxc", http="POST", path="/clone") == 1
        if not stage.is_mock:
            assert {source_app.vmid, clone.vmid} <= stage.vmids()

    async def test_clone_app_source_not_found(self, stage: Stage) -> None:
        with pytest.raises(AppNotFoundError, match="nonexistent-app"):
            await stage.service.clone_app("nonexistent-app", "cloned-app")

    async def test_clone_app_duplicate_hostname(self, stage: Stage, source_app: App) -> None:
        with pytest.raises(AppAlreadyExistsError, match="source-app"):
            await stage.service.clone_app(source_app.id, source_app.hostname)
        assert stage.count("clone_lxc", http="POST", path="/clone") == 0

    async def test_clone_app_proxmox_failure_cleanup(self, stage: Stage, source_app: App) -> None:
        before = stage.vmids()
        held = await stage.manager.store.aread(lambda db: db.taken_ports())
        stage.fail("clone_lxc", http="POST", path="/nodes/*/lxc/*/clone")
        with pytest.raises(AppOperationError, match="Failed to clone application"):
            await stage.service.clone_app(source_app.id, "cloned-app")
        with pytest.raises(AppNotFoundError):
            await stage.service.get_app("nginx-cloned-app")
        assert stage.vmids() == before
        assert await stage.manager.store.aread(lambda db: db.taken_ports()) == held
        assert (await stage.service.get_app(source_app.id)).status == "running"

    async def test_clone_app_copies_all_properties(self, stage: Stage, source_app: App) -> None:
        clone = await stage.service.clone_app(source_app.id, "cloned-app")
        same = "catalog_id name version node cores memory_mib disk_gib config environment owner_id"
        for name in same.split():
            assert getattr(clone, name) == getattr(source_app, name), name
        ports = await stage.service.ports(clone.id)
        assert set(ports) == {"public", "internal"}
        assert set(ports.values()).isdisjoint((await stage.service.ports(source_app.id)).values())
        address = "192.168.1.100" if stage.is_mock else "127.0.0.1"
        assert clone.url == f"http://{address}:{ports['public']}/"
        assert clone.iframe_url == "/apps/nginx-cloned-app/view/"


class TestUpdateAppConfig:
    async def test_update_cpu_cores(self, stage: Stage, source_app: App) -> None:
        app = await stage.service.update_app_config(source_app.id, cpu_cores=4)
        assert (app.cores, app.status) == (4, "running")
        self._expect(stage, app, cores=4)

    async def test_update_memory(self, stage: Stage, source_app: App) -> None:
        app = await stage.service.update_app_config(source_app.id, memory_mb=2048)
        assert (app.memory_mib, app.status) == (2048, "running")
        self._expect(stage, app, memory=2048)

    async def test_update_disk_size(self, stage: Stage, source_app: App) -> None:
        app = await stage.service.update_app_config(source_app.id, disk_gb=20)
        assert (app.disk_gib, app.status) == (20, "running")
        assert stage.count("resize_lxc_disk", http="PUT", path="/resize") == 1
        with pytest.raises(InvalidInput, match="cannot shrink"):
            await stage.service.update_app_config(source_app.id, disk_gb=5)

    async def test_update_multiple_resources(self, stage: Stage, source_app: App) -> None:
        app = await stage.service.update_app_config(
            source_app.id, cpu_cores=2, memory_mb=1024, disk_gb=10
        )
        assert (app.cores, app.memory_mib, app.disk_gib) == (2, 1024, 10)
        self._expect(stage, app, cores=2, memory=1024)

    async def test_update_no_parameters_raises_error(self, stage: Stage, source_app: App) -> None:
        with pytest.raises(
            InvalidInput, match="At least one configuration parameter must be provided"
        ):
            await stage.service.update_app_config(source_app.id)

    async def test_update_app_not_found(self, stage: Stage) -> None:
        with pytest.raises(AppNotFoundError):
            await stage.service.update_app_config("nonexistent-app", cpu_cores=2)

    async def test_update_stopped_app_no_restart(self, stage: Stage, source_app: App) -> None:
        await stage.service.act(source_app.id, "stop")
        started = stage.count("start_lxc", http="POST", path="/status/start")
        app = await stage.service.update_app_config(source_app.id, cpu_cores=2)
        assert (app.cores, app.status) == (2, "stopped")
        assert stage.count("start_lxc", http="POST", path="/status/start") == started

    async def test_update_failure_attempts_restart(self, stage: Stage, source_app: App) -> None:
        started = stage.count("start_lxc", http="POST", path="/status/start")
        stage.fail("resize_lxc_disk", http="PUT", path="/nodes/*/lxc/*/resize")
        with pytest.raises(AppOperationError, match="Failed to update configuration"):
            await stage.service.update_app_config(source_app.id, cpu_cores=3, disk_gb=30)
        app = await stage.service.get_app(source_app.id)
        assert (app.cores, app.disk_gib, app.status) == (1, 2, "running")
        assert stage.count("start_lxc", http="POST", path="/status/start") == started + 1
        self._expect(stage, app, cores=1)

    @staticmethod
    def _expect(stage: Stage, app: App, **config: int) -> None:
        """The container has these values, or the mock was told them last."""
        assert app.vmid is not None
        if stage.embedded is None:
            assert stage.proxmox.update_lxc_config.calls[-1].arguments["config"] == config
            return
        guest = stage.embedded.guest(app.vmid)
        assert guest is not None
        assert guest.running
        for key, value in config.items():
            assert guest.config[key] == value
