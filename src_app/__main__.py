"""``python -m src_app``: serve, migrate, create-admin, test-connection, world."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from src_app.configuration import Configuration, port_number
from src_app.domain.errors import AppManagerError, ConfigurationError
from src_app.proxmox.errors import ProxmoxError, SettingError

STOP_S = 3  # a page that follows an operation keeps its answer open
KEEP_ALIVE_S = 75  # longer than a page pauses: what it asks for then must not meet a closing line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 2 where it was asked for wrongly."""
    args = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Configuration], int] = args.run
    try:
        return command(args, Configuration.load(os.environ))
    except (AppManagerError, ProxmoxError) as exc:
        print(f"src_app {args.command}: {exc}", file=sys.stderr)
        return 2 if isinstance(exc, (AppManagerError, SettingError)) else 1
    except KeyboardInterrupt:
        return 130  # as a shell says it of a program that Ctrl-C ended


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="src_app", description="A manager of apps on Proxmox VE")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the API and do the operations")
    serve.add_argument("--host", help="address (default: APP_HOST, 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port (default: APP_PORT, 8765)")
    serve.set_defaults(run=_serve)
    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrate.set_defaults(run=_migrate)
    admin = commands.add_parser("create-admin", help="make an admin; asks for the password")
    admin.add_argument("username")
    admin.add_argument("--password-stdin", action="store_true", help="read it from standard input")
    admin.set_defaults(run=_create_admin)
    test = commands.add_parser("test-connection", help="log in to the Proxmox of PROXMOX_*")
    test.set_defaults(run=_test_connection)
    world = commands.add_parser("world", help="print a world for an embedded Proxmox")
    world.set_defaults(run=_world)
    return parser


def _port(text: str) -> int:
    try:
        return port_number(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f'"{text}" {exc}') from exc


def _serve(args: argparse.Namespace, config: Configuration) -> int:
    import uvicorn

    from src_app.services.manager import Manager
    from src_app.web.access_log import hide_tickets
    from src_app.web.application import create_app

    host, port = args.host or config.host, args.port or config.port
    with _listening(host, port) as listening:
        manager = Manager.build(config, os.environ)
        manager.store.migrate()
        told = uvicorn.Config(
            create_app(manager),
            host=host,
            port=port,
            log_level="info",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
        )
        hide_tickets()
        print(f"Serving on http://{host}:{port}", flush=True)
        server = uvicorn.Server(told)
        server.run(sockets=[listening])
    return 0 if server.started else 1


def _listening(host: str, port: int) -> socket.socket:
    """Return the socket to serve on: whether it can be had shows before anything begins.

    Raises:
        ConfigurationError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigurationError(
            f"Cannot serve on {host}:{port}: {exc.strerror}. "
            "Give another --host or --port, or set APP_HOST and APP_PORT"
        ) from exc


def _migrate(_: argparse.Namespace, config: Configuration) -> int:
    from src_app.db.store import Store

    store = Store(config.database_url)
    store.migrate()
    store.close()
    print("The database has the newest schema.")
    return 0


def _create_admin(args: argparse.Namespace, config: Configuration) -> int:
    from src_app.services.manager import Manager

    manager = Manager.build(config, os.environ)
    manager.store.migrate()
    password = _asked_password(from_stdin=args.password_stdin)
    user = manager.users.create(args.username, password, role="admin")
    manager.store.close()
    print(f"{user.username} is an admin now.")
    return 0


def _asked_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    try:
        return getpass.getpass("Password: ")
    except EOFError as exc:
        raise ConfigurationError(
            "There is nobody to ask for a password; send it to --password-stdin"
        ) from exc


def _test_connection(_: argparse.Namespace, config: Configuration) -> int:
    from src_app.proxmox import ProxmoxService

    async def facts(service: ProxmoxService) -> tuple[Mapping[str, object], list[str]]:
        return await service.get_version(), [str(n["node"]) for n in await service.get_nodes()]

    service = ProxmoxService(environ=os.environ)
    service.connect()
    version, nodes = asyncio.run(facts(service))
    print(f"Proxmox VE {version.get('version')} answers; nodes: {', '.join(nodes)}")
    return 0


def _world(_: argparse.Namespace, config: Configuration) -> int:
    from src_app.catalog import Library
    from src_app.catalog.library import BUNDLED

    print(json.dumps(Library((BUNDLED, *config.catalog)).embedded_world(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
