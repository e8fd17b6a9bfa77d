"""Commands about the sitting itself: help, init, status, history, exit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from src_app.console.errors import CommandFailed, UsageError
from src_app.console.registry import Argument, Command, Context, Flag, Outcome
from src_app.console.services import endpoint_of
from src_app.console.tables import facts, grid
from src_app.console.words import whole
from src_app.proxmox.endpoint import DEFAULT_PORT, DEFAULT_USER, split_host
from src_app.proxmox.errors import CertificateRefused, LoginRefused
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from src_app.workspace.config import TEMPLATES
from src_app.workspace.errors import WorkspaceExists

LOGIN_TRIES = 3  # of /init, where somebody is there to correct what was wrong


def show_help(context: Context) -> Outcome:
    """Say what commands there are, or how one is written."""
    registry = context.session.registry
    if context["command"] is None:
        return _all_commands(context)
    name = str(context["command"])
    known = name if name in registry.words else f"/{name}"
    return _one_command(registry.find(known if known in registry.words else name))


def _all_commands(context: Context) -> Outcome:
    sections: dict[str, list[Command]] = {}
    for command in context.session.registry:
        sections.setdefault(command.section, []).append(command)
    shown: list[Any] = []
    for section, commands in sections.items():
        table = Table(title=section, title_justify="left", box=None, show_header=False)
        table.add_column(style="cyan", no_wrap=True, min_width=14)
        table.add_column()
        for command in commands:
            table.add_row(command.name, escape(command.summary))
        shown += [table, ""]
    shown.append(
        "help COMMAND shows a command's flags. Tab completes. Plain English works, too: "
        '"stop all containers on pve".'
    )
    told = {c.name: {"summary": c.summary, "usage": c.usage} for c in context.session.registry}
    return Outcome(tuple(shown), {"commands": told})


def _one_command(command: Command) -> Outcome:
    shown: list[Any] = [f"{command.name}: {command.summary}", f"Usage: {command.usage}"]
    table = Table(box=None, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for argument in command.arguments:
        choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
        table.add_row(argument.name.upper(), escape(f"{argument.summary}{choices}"))
    for flag in command.all_flags:
        names = f"{flag.short}, {flag.name}" if flag.short else flag.name
        choices = f" ({', '.join(flag.choices)})" if flag.choices else ""
        table.add_row(escape(f"{names} {flag.value}".strip()), escape(f"{flag.summary}{choices}"))
    shown.append(table)
    if command.examples:
        shown += ["Examples:", *(f"  {example}" for example in command.examples)]
    flags = [flag.name for flag in command.all_flags]
    return Outcome(tuple(shown), {"usage": command.usage, "flags": flags})


# --- /init ------------------------------------------------------------------------------------


def init(context: Context) -> Outcome:
    """Make a workspace in the folder, once the Proxmox it is for has answered."""
    session = context.session
    if ProjectWorkspace.detect(session.cwd) == session.cwd.absolute():
        raise WorkspaceExists.at(session.cwd)
    values = _asked(context)
    config = WorkspaceConfig.of(values)
    secret = _secret(context, config)
    version = "not asked"
    if not context["offline"]:
        config, secret, version = _logged_in(context, config, secret)
    session.use(ProjectWorkspace.create(session.cwd.absolute(), config, secret=secret))
    if session.ui.is_interactive:
        session.mark_open()
    assert session.workspace is not None, "it was just made"
    root = session.workspace.root
    shown = (
        f"✅ Workspace {config.name} was made in {root}",
        f"   Proxmox VE {version} at {config.host}:{config.port}. Use /sync to read it.",
    )
    return Outcome(shown, {"workspace": str(root), "name": config.name, "version": version})


def _logged_in(
    context: Context, config: WorkspaceConfig, secret: str
) -> tuple[WorkspaceConfig, str, str]:
    """Return config and secret with which the Proxmox lets us in, and its version.

    Where somebody is there, a wrong secret is asked for again, and a certificate that nobody
    vouches for may be trusted: a fresh Proxmox has such a one.
    """
    ui = context.session.ui
    tries_left = LOGIN_TRIES
    while True:
        try:
            connection = context.session.connect(endpoint_of(config, secret))
            return config, secret, str(connection.get("/version").get("version"))
        except CertificateRefused as exc:
            if not ui.is_interactive or config.verify_ssl is not True:
                hint = "Give --ca-file FILE of its CA, or --insecure on a network that you trust."
                raise CommandFailed(f"/init: {exc.what}. {hint}") from exc
            ui.note(f"{exc.what}. --ca-file FILE names its CA.")
            ui.confirm("Without that check, others on the network could read the password.")
            config = config.changed({"verify_ssl": False})
        except LoginRefused as exc:
            tries_left -= 1
            if not ui.is_interactive or not tries_left:
                raise
            ui.note(f"{exc.what}.")
            secret = ui.ask(_secret_name(config), secret=True)


def _secret_name(config: WorkspaceConfig) -> str:
    return f"Value of token {config.token_name}" if config.token_name else "Password"


def _asked(context: Context) -> dict[str, Any]:
    """Return the settings: flags win, then the environment, then what the user types."""
    environ, ui = context.session.environ, context.session.ui
    server = context["server"] or environ.get("PROXMOX_HOST") or ui.ask("Proxmox host")
    if not server:
        raise UsageError("/init: the Proxmox is missing: give --server HOST, or set PROXMOX_HOST")
    host, port = split_host(server, origin="--server")
    user = context["user"] or environ.get("PROXMOX_USER")
    token = context["token_name"] or environ.get("PROXMOX_TOKEN_NAME") or ""
    node = context["node"] or ""
    if user is None:
        user = ui.ask("User", default=DEFAULT_USER) or DEFAULT_USER
        token = token or ui.ask("Token name (empty for a password)")
        node = node or ui.ask("Node for new guests (empty for the best)")
    name = context["name"] or context.session.cwd.absolute().name
    number = port or context["port"] or environ.get("PROXMOX_PORT") or DEFAULT_PORT
    if not str(number).isdigit():
        raise UsageError(f'/init: port "{number}" is not a number')
    return {
        "name": name,
        "host": host,
        "port": int(number),
        "user": user,
        "token_name": token.rpartition("!")[2],
        "node": node,
        "verify_ssl": _verify(context, environ),
        "template": context["template"],
    }


def _verify(context: Context, environ: Mapping[str, str]) -> bool | str:
    if context["insecure"]:
        return False
    told = context["ca_file"] or environ.get("PROXMOX_VERIFY_SSL", "")
    if told.lower() in ("0", "false", "no", "off"):
        return False
    is_path = told and told.lower() not in ("1", "true", "yes", "on")
    return str(Path(told).absolute()) if is_path else True


def _secret(context: Context, config: WorkspaceConfig) -> str:
    """Return the secret; never from the line, which stays in the history."""
    environ = context.session.environ
    variable = "PROXMOX_TOKEN_VALUE" if config.token_name else "PROXMOX_PASSWORD"
    found = environ.get(variable) or context.session.ui.ask(_secret_name(config), secret=True)
    if not found and not context["offline"]:
        raise UsageError(f"/init: no secret. Set {variable}, or run it where it can ask.")
    return found


# --- status, history, exit --------------------------------------------------------------------


def status(context: Context) -> Outcome:
    """Say which workspace is open and what is known of its cluster."""
    session = context.session
    services = session.services
    workspace = services.workspace
    counts = services.store.read(
        lambda db: {
            "nodes": db.nodes.count({"removed_at": None}),
            "vms": db.vms.count({"removed_at": None}),
            "containers": db.containers.count({"removed_at": None}),
            "storages": db.storages.count({"removed_at": None}),
            "wanted": db.wanted.count(),
        }
    )
    synced = services.store.read(
        lambda db: db.nodes.find_many(limit=1, order_by="-updated_at").data
    )
    last = synced[0].updated_at.isoformat(timespec="seconds") if synced else "never"
    config = workspace.config
    told = {
        "workspace": config.name,
        "folder": str(workspace.root),
        "proxmox": f"{config.user} at {config.host}:{config.port}",
        "backups": len(workspace.backups()),
        "synced": last,
        **counts,
    }
    return Outcome((facts(told),), told)


def history(context: Context) -> Outcome:
    """Show the last commands, or those with some words in them."""
    found = context.session.history.search(context["words"] or "")[1 : context["number"] + 1]
    rows = [
        (e.at[:19].replace("T", " "), "" if e.exit_code is None else e.exit_code, e.command)
        for e in reversed(found)
    ]
    entries = [{"at": e.at, "exit_code": e.exit_code, "command": e.command} for e in found]
    return Outcome((grid(("When", "Exit", "Command"), rows),), {"entries": entries})


def exit_console(context: Context) -> Outcome:
    """End the session."""
    return context.session.end()


def test_connection(context: Context) -> Outcome:
    """Log in to the workspace's Proxmox and say what answers."""
    connection = context.session.services.connection
    version = connection.get("/version")
    nodes = {str(n["node"]): str(n.get("status")) for n in connection.get("/nodes")}
    if "online" not in nodes.values():
        raise CommandFailed(f"Proxmox VE {version.get('version')} answers, and no node is online.")
    listed = ", ".join(f"{name} ({state})" for name, state in nodes.items())
    shown = (f"✅ Proxmox VE {version.get('version')} answers; nodes: {listed}",)
    return Outcome(shown, {"version": version.get("version"), "nodes": nodes})


COMMANDS = (
    Command(
        "/help",
        "show the commands, or how one is written",
        show_help,
        arguments=(Argument("command", "a command", required=False, completer="commands"),),
        aliases=("help", "?", "/?", "/h"),
    ),
    Command(
        "/init",
        "make a workspace in this folder",
        init,
        flags=(
            Flag("--server", "the Proxmox: host or host:port", value="HOST"),
            Flag("--port", "its port", value="PORT", parse=whole(1, 65535)),
            Flag("--user", "who logs in, with the realm", value="USER"),
            Flag("--token-name", "the name of the user's token", value="NAME"),
            Flag("--node", "the node for new guests", value="NODE", completer="nodes"),
            Flag("--name", "the workspace's name (default: the folder's)", value="NAME"),
            Flag("--template", "what it is for", value="KIND", choices=TEMPLATES, default="basic"),
            Flag("--insecure", "do not check the certificate"),
            Flag("--ca-file", "the file of the CA to check it with", value="PATH"),
            Flag("--offline", "do not log in now"),
        ),
        examples=("/init --server pve.example.org --user root@pam",),
    ),
    Command("/status", "show the workspace and what is known of its cluster", status),
    Command(
        "/history",
        "show the last commands, or those with some words",
        history,
        arguments=(Argument("words", "words to look for", required=False, rest=True),),
        flags=(
            Flag("--number", "how many", value="N", short="-n", parse=whole(1, 1000), default=20),
        ),
    ),
    Command("/test", "test the connection to Proxmox", test_connection, section="Cluster"),
    Command("/exit", "end the session", exit_console, aliases=("/quit", "exit", "quit")),
)
