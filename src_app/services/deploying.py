"""Deploying an app: from a catalog entry to a container that answers."""

from __future__ import annotations

from src_app.db.models import App
from src_app.db.repositories import RepositoryFactory
from src_app.proxmox import ProxmoxService
from src_app.services import building, sealing
from src_app.services.ports import PortManager
from src_app.services.work import Procedure, Step, Work


def port_manager(work: Work) -> PortManager:
    """Return the manager of the configured port spans."""
    config = work.context.config
    return PortManager(config.public_ports, config.internal_ports)


async def reserve_ports(work: Work) -> None:
    """Reserve the app's ports and say where it will be found."""
    manager = port_manager(work)
    service = await work.proxmox()
    address = service.network_manager.appliance_info.wan_ip

    def reserve(db: RepositoryFactory) -> None:
        ports = manager.assign_next_available_ports(db, work.app_id)
        db.apps.update(work.app_id, building.urls(work.app_id, address, ports))

    await work.db(reserve)


async def place(work: Work) -> None:
    """Choose node and storage, and write the node down."""
    await building.choose_place(work)
    await building.change_app(work, node=work.plan["node"])


async def create(work: Work) -> None:
    """Make the container with its data volume, once."""
    app = await building.app_of(work)
    entry = building.entry_of(work, app.catalog_id)
    storage = work.plan["storage"]
    environment = sealing.opened(work.context.cipher, app.environment)
    options = await building.container_options(work, environment=environment)
    options |= building.data_volume(entry, storage)

    async def make(service: ProxmoxService, vmid: int) -> object:
        return await service.create_lxc(
            work.plan["node"],
            vmid,
            root_password=_password(work, app),
            hostname=app.hostname,
            template=work.plan["template"],
            storage=storage,
            cores=app.cores,
            memory=app.memory_mib,
            disk=app.disk_gib,
            **options,
        )

    await building.make_guest(work, make)
    await building.change_app(work, vmid=work.plan["vmid"])


def _password(work: Work, app: App) -> str | None:
    sealed = app.sealed_root_password
    return None if sealed is None else work.context.cipher.open(sealed)


async def start(work: Work) -> None:
    """Start the container."""
    await building.start(work, work.plan["node"], work.plan["vmid"])


async def connect(work: Work) -> None:
    """Learn the container's address."""
    address = await building.await_address(work, work.plan["node"], work.plan["vmid"])
    await building.change_app(work, address=address)


async def check(work: Work) -> None:
    """Wait until the app says that it works."""
    app = await building.app_of(work)
    version = building.version_of(building.entry_of(work, app.catalog_id), app.version)
    await building.await_health(work, str(app.address), app.config["port"], version.health)


async def publish(work: Work) -> None:
    """Say that the app runs."""
    await building.change_app(work, status="running", status_text=None)


async def undo(work: Work) -> None:
    """Remove the container, the ports and the row: as if nobody had asked."""
    await building.remove_guest(work, work.plan.get("node"), work.plan.get("vmid"))
    await work.db(lambda db: forget(db, work.app_id))


def forget(db: RepositoryFactory, app_id: str) -> None:
    """Remove an app's row and its ports; its backups stay."""
    if db.apps.exists(app_id):
        db.apps.delete(app_id)


async def give_up(work: Work) -> None:
    """Keep the row of a container that could not be removed."""
    await mark_failed(work)


async def mark_failed(work: Work) -> None:
    """Show on the app, if it is still there, what failed."""
    values = {"status": "error", "status_text": work.error}

    def mark(db: RepositoryFactory) -> None:
        if db.apps.exists(work.app_id):
            db.apps.update(work.app_id, values)

    await work.db(mark)


DEPLOY = Procedure(
    (
        Step("Reserving ports", 5, reserve_ports),
        Step("Choosing a node", 10, place),
        Step("Fetching the image", 20, building.fetch_image),
        Step("Creating LXC container", 30, create),
        Step("Starting container", 50, start),
        Step("Connecting to the network", 65, connect),
        Step("Starting services", 80, check),
        Step("Finalizing deployment", 95, publish),
    ),
    undo=undo,
    give_up=give_up,
)
