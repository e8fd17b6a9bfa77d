"""Commands that keep the workspace well: config, validate, workspace."""

from __future__ import annotations

from typing import Any

from src_app.console.commands import exporting
from src_app.console.errors import UsageError
from src_app.console.registry import FAILED, Argument, Command, Context, Outcome
from src_app.console.tables import facts, grid, size
from src_app.db import file as database
from src_app.db.repositories import RepositoryFactory
from src_app.workspace import ProjectWorkspace
from src_app.workspace.parts import DATABASE

ACTIONS = ("list", "backup", "backups", "recover", "delete")
SETTINGS = ("name", "host", "port", "user", "token_name", "node", "verify_ssl", "template")


def config(context: Context) -> Outcome:
    """Show the config, or change one setting of it."""
    services = context.session.services
    workspace = services.workspace
    if context["setting"] is not None:
        if context["value"] is None and context["setting"] != "node":
            raise UsageError(f"/config: the value is missing: /config {context['setting']} VALUE")
        workspace.save({context["setting"]: _value(context["setting"], context["value"] or "")})
        services.forget_connection()
    told = {name: getattr(workspace.config, name) for name in SETTINGS}
    return Outcome((facts(told, as_they_are=True),), {"config": told})


def _value(name: str, text: str) -> Any:
    if name == "port" and text.isdigit():
        return int(text)
    if name == "verify_ssl" and text.lower() in ("true", "false", "yes", "no"):
        return text.lower() in ("true", "yes")
    return text


def validate(context: Context) -> Outcome:
    """Look whether config, database and wishes are sound; asks Proxmox nothing."""
    services = context.session.services
    damage = database.damage(services.workspace.parts.path(DATABASE))
    found = [f"the database is damaged: {damage}"] if damage else []
    found += services.store.health().problems
    found += services.store.read(_problems)
    shown = ["❌ " + text for text in found] or ["✅ The workspace is sound."]
    code = exporting.judge(context)
    data: dict[str, Any] = {"problems": found, **({"code": code.data} if code.data else {})}
    failed = bool(found) or code.is_wrong
    return Outcome((*shown, *code.shown), data, FAILED if failed else 0)


def _problems(db: RepositoryFactory) -> list[str]:
    """Return what is wrong with the guests that are wanted."""
    nodes = {row.id for row in db.nodes.find_many(limit=1000, where={"removed_at": None}).data}
    storages = {
        (row.node_id, row.name)
        for row in db.storages.find_many(limit=1000, where={"removed_at": None}).data
    }
    problems, names = [], set()
    for row in db.wanted.find_many(limit=1000, where={"absent": False}).data:
        what = f"{row.kind} {row.vmid} ({row.name})"
        if nodes and row.node not in nodes:
            problems.append(f"{what} is wanted on {row.node}, which is no node of the cluster")
        storage = row.spec.get("storage")
        if storages and storage and (row.node, storage) not in storages:
            problems.append(f"{what} wants storage {storage}, which {row.node} does not have")
        if row.name in names:
            problems.append(f"{what} has the name of another")
        names.add(row.name)
    return problems


def workspace(context: Context) -> Outcome:
    """List, back up, recover or delete workspaces."""
    action, name = context["action"], context["backup"]
    if action == "list":
        roots = [str(path) for path in ProjectWorkspace.list(context.session.cwd)]
        return Outcome(tuple(roots) or ("No workspaces here.",), {"workspaces": roots})
    opened = context.session.services.workspace
    if action == "backup":
        made = opened.back_up()
        text = f"✅ Backup {made.name} was made ({size(made.size_bytes)})."
        return Outcome((text,), {"backup": made.name})
    if action == "backups":
        rows = [(backup.name, size(backup.size_bytes)) for backup in opened.backups()]
        names = [backup.name for backup in opened.backups()]
        return Outcome((grid(("Backup", "Size"), rows) if rows else "No backups yet.",),
                       {"backups": names})  # fmt: skip
    if action == "recover":
        if name is None:
            raise UsageError("/workspace: which backup? /workspace recover BACKUP")
        context.confirm(f"Config, secret and database will be those of {name}.")
        opened.recover(name)
        context.session.services.forget_connection()
        return Outcome((f"✅ The workspace is as it was at {name}.",), {"backup": name})
    context.confirm(f"The workspace {opened.config.name} will be deleted; its guests stay.")
    root = str(opened.root)
    opened.delete()
    context.session.leave()
    return Outcome((f"🗑  The workspace of {root} is gone.",), {"workspace": root})


COMMANDS = (
    Command(
        "/config",
        "show the config, or change a setting",
        config,
        arguments=(
            Argument("setting", "what to change", required=False, choices=SETTINGS),
            Argument("value", "its new value", required=False, completer="values"),
        ),
        section="Workspace",
    ),
    Command(
        "/validate",
        "look whether the workspace is sound, and the code that was exported",
        validate,
        flags=exporting.JUDGE_FLAGS,
        section="Workspace",
    ),
    Command(
        "/workspace",
        "list, back up, recover or delete workspaces",
        workspace,
        arguments=(
            Argument("action", "what to do", choices=ACTIONS),
            Argument("backup", "which backup", required=False, completer="backups"),
        ),
        asks=True,
        section="Workspace",
    ),
)
