"""Commands about guests: list, describe, create, delete, start, stop."""

from __future__ import annotations

from typing import Any

from src_app.console.commands.cluster import DRY_RUN, carry_out
from src_app.console.errors import CommandFailed, UsageError
from src_app.console.registry import Argument, Command, Context, Flag, Outcome
from src_app.console.tables import facts, grid, size
from src_app.console.words import whole
from src_app.db.models import VM, Container, WantedGuest
from src_app.db.repositories import RepositoryFactory
from src_app.db.validation import DNS_NAME
from src_app.db.words import GUEST_STATUS
from src_app.domain.errors import InvalidInput
from src_app.proxmox.lifecycle import GuestPlace
from src_app.services.changing import Step
from src_app.services.planning import spec_of

KINDS = ("vm", "container")
LISTS = ("vms", "containers", "nodes", "storages", "wanted", "all")
EMPTY = {
    "nodes": "No nodes here. /sync reads them from Proxmox.",
    "storages": "No storages here. /sync reads them from Proxmox.",
    "wanted": "No guests are wanted here. create wants one.",
}
Guest = VM | Container
MOST = 100_000  # rows of a list


# --- looking ----------------------------------------------------------------------------------


def list_resources(context: Context) -> Outcome:
    """Show what the workspace knows of its cluster."""
    what = context["what"]
    services = context.session.services
    if what in ("nodes", "storages", "wanted"):
        return services.store.read(lambda db: _listed(db, what, context))
    rows = services.store.read(lambda db: _chosen(db, what, context))
    if not rows:
        return Outcome(("No guests here. /sync reads them from Proxmox.",), {what: []})
    titles = ("VMID", "Kind", "Name", "Node", "Status", "Cores", "Memory", "Disk", "Tags")
    told = [
        (row.id, kind_of(row), name_of(row), row.node_id,
         "gone" if row.removed_at else row.status, row.cores, size(row.memory_bytes),
         size(row.disk_bytes), ", ".join(row.tags))
        for row in rows
    ]  # fmt: skip
    return Outcome((grid(titles, told),), {what: [_plain(row) for row in rows]})


def _listed(db: RepositoryFactory, what: str, context: Context) -> Outcome:
    where: dict[str, Any] = {} if context["removed"] else {"removed_at": None}
    if what == "nodes":
        nodes = [
            (n.id, n.status, n.ip or "", n.cpu_count, size(n.memory_bytes))
            for n in db.nodes.find_many(limit=1000, where=where).data
        ]
        return _outcome(what, ("Node", "Status", "Address", "CPUs", "Memory"), nodes)
    if what == "storages":
        if context["node"]:
            where["node_id"] = context["node"]
        storages = [
            (s.node_id, s.name, s.type, ", ".join(s.content), size(s.used_bytes),
             size(s.total_bytes))
            for s in db.storages.find_many(limit=1000, where=where).data
        ]  # fmt: skip
        return _outcome(what, ("Node", "Storage", "Type", "Content", "Used", "Size"), storages)
    wanted = [
        (w.vmid, w.kind, w.name, w.node, "gone" if w.absent else "there",
         ", ".join(f"{k}={v}" for k, v in w.spec.items() if v not in (None, "", [])))
        for w in db.wanted.find_many(limit=1000, order_by="vmid").data
    ]  # fmt: skip
    return _outcome(what, ("VMID", "Kind", "Name", "Node", "Wanted", "How"), wanted)


def _outcome(what: str, titles: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Outcome:
    data = [dict(zip((t.lower() for t in titles), row, strict=True)) for row in rows]
    shown = grid(titles, rows) if rows else EMPTY[what]
    return Outcome((shown,), {what: data})


def _chosen(db: RepositoryFactory, what: str, context: Context) -> list[Guest]:
    where: dict[str, Any] = {} if context["removed"] else {"removed_at": None}
    if context["node"]:
        where["node_id"] = context["node"]
    if context["status"]:
        where["status"] = context["status"]
    return guests(db, {"vms": "vm", "containers": "container"}.get(what, ""), where)


def guests(db: RepositoryFactory, kind: str, where: dict[str, Any]) -> list[Guest]:
    """Return the guests of a kind (``""`` for both) in the order of their VMIDs."""
    found: list[Guest] = []
    for name, repository in (("vm", db.vms), ("container", db.containers)):
        page = 0
        while kind in ("", name):
            page += 1
            told = repository.find_many(page=page, limit=1000, where=where)
            found += told.data
            if not told.has_more:
                break
    return sorted(found, key=lambda row: row.id)


def name_of(row: Guest) -> str:
    """Return a guest's name."""
    return row.name if isinstance(row, VM) else row.hostname


def kind_of(row: Guest) -> str:
    """Return a guest's kind."""
    return "vm" if isinstance(row, VM) else "container"


def _plain(row: Guest) -> dict[str, Any]:
    return {
        "vmid": row.id,
        "kind": kind_of(row),
        "name": name_of(row),
        "node": row.node_id,
        "status": row.status,
        "cores": row.cores,
        "memory_bytes": row.memory_bytes,
        "disk_bytes": row.disk_bytes,
        "tags": row.tags,
        "removed": row.removed_at is not None,
    }


def find(db: RepositoryFactory, kind: str, wanted: str) -> Guest:
    """Return the guest that is called so, or has that VMID.

    Raises:
        CommandFailed: there is none, or several have the name.
    """
    rows = [r for r in guests(db, kind, {"removed_at": None}) if wanted in (str(r.id), name_of(r))]
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise CommandFailed(f'There is no {kind} "{wanted}" in the workspace. /sync reads anew.')
    ids = ", ".join(str(row.id) for row in rows)
    raise CommandFailed(f'Several are called "{wanted}": {ids}. Give the VMID.')


def describe(context: Context) -> Outcome:
    """Show all that is known of one guest."""
    store = context.session.services.store
    row = store.read(lambda db: find(db, context["kind"], context["guest"]))
    past = store.read(lambda db: db.snapshots.history(context["kind"], str(row.id)))
    told = {**_plain(row), "memory": size(row.memory_bytes), "disk": size(row.disk_bytes)}
    shown = {k: v for k, v in told.items() if k not in ("memory_bytes", "disk_bytes", "removed")}
    settings = {k: v for k, v in sorted(row.config.items()) if k not in ("name", "hostname")}
    changes = [(s.taken_at.isoformat(timespec="seconds"), s.change_type) for s in past[:5]]
    parts: list[Any] = [facts(shown)]
    if settings:
        parts += ["", "Config:", facts(settings, as_they_are=True)]
    if changes:
        parts += ["", "Seen:", grid(("When", "What"), changes)]
    return Outcome(tuple(parts), {"guest": told, "config": row.config})


# --- wanting ----------------------------------------------------------------------------------


def create(context: Context) -> Outcome:
    """Want a new guest: /apply makes it, or this command itself with --now."""
    services = context.session.services
    values = _wish(context)
    vmid, kind, name, node = (values[key] for key in ("vmid", "kind", "name", "node"))
    data = {"vmid": vmid, "kind": kind, "name": name, "node": node, "applied": False}
    if context["dry_run"]:
        return Outcome((f"Would want {kind} {vmid} ({name}) on {node}.",), data)
    services.store.run(lambda db: _want(db, values))
    if not context["now"]:
        shown = (
            f"📝 {kind} {vmid} ({name}) on {node} is wanted. /plan shows it, /apply makes it.",
        )
        return Outcome(shown, data)
    place = GuestPlace(kind, node, vmid)
    steps = [Step("create", place, name, spec=spec_of(WantedGuest(**values)))]
    steps += [Step("start", place, name)] if context["start"] else []
    try:
        with services.workspace.lock().alone():
            outcome = carry_out(context, tuple(steps))
    except BaseException:
        services.store.run(lambda db: db.wanted.delete(vmid))  # it was wanted now, or not at all
        raise
    return Outcome(outcome.shown, {**data, "applied": True})


def _wish(context: Context) -> dict[str, Any]:
    """Return the row of the guest that a create describes, what it leaves open chosen."""
    services, kind, name = context.session.services, context["kind"], context["name"]
    if name is None:
        raise UsageError(f"create: --name is missing: create {kind} --name NAME")
    if (problem := DNS_NAME(name)) is not None:
        raise InvalidInput(f'create: name "{name}" {problem}', fields={"name": problem})
    if kind == "vm" and context["template"]:
        raise UsageError("create: --template is for containers; a VM begins with an empty disk")
    spec = {
        "name": name,
        "cores": context["cores"],
        "memory_mib": context["memory"],
        "disk_gib": context["disk"],
        "storage": context["storage"] or "",
        "template": context["template"] or "",
        "bridge": context["bridge"],
        "description": context["description"] or "",
        "tags": context["tag"],
        "started": context["start"],
    }
    vmid = context["vmid"] or _free_vmid(context)
    node = context["node"] or services.workspace.config.node or services.life.best_node()
    return {"vmid": vmid, "kind": kind, "name": name, "node": node, "spec": spec}


def _want(db: RepositoryFactory, values: dict[str, Any]) -> None:
    vmid = values["vmid"]
    taken = db.vms.find_by_id(vmid) or db.containers.find_by_id(vmid)
    if taken is not None and taken.removed_at is None:
        raise CommandFailed(f"VMID {vmid} is taken by {name_of(taken)}. Leave --vmid out.")
    if db.wanted.exists(vmid):
        raise CommandFailed(f"VMID {vmid} is wanted already. Leave --vmid out.")
    db.wanted.create(values)


def _free_vmid(context: Context) -> int:
    """Return a VMID that neither the cluster nor the workspace knows."""
    services = context.session.services
    vmid = services.life.next_vmid()
    taken = services.store.read(lambda db: {w.vmid for w in db.wanted.find_many(limit=1000).data})
    while vmid in taken or not services.life.is_free(vmid):
        vmid += 1
    return vmid


def delete(context: Context) -> Outcome:
    """Want a guest gone: /apply deletes it, or this command itself with --now."""
    services, kind, wanted = context.session.services, context["kind"], context["guest"]
    planned = services.store.read(lambda db: _only_wanted(db, kind, wanted))
    if planned is not None:
        context.confirm(f"{kind} {planned.vmid} ({planned.name}) is not wanted any more.")
        services.store.run(lambda db: db.wanted.delete(planned.vmid))
        data = {"vmid": planned.vmid, "name": planned.name, "applied": True}
        return Outcome((f"🗑  {kind} {planned.vmid} was only planned, and is forgotten.",), data)
    row = services.store.read(lambda db: find(db, kind, wanted))
    name = name_of(row)
    step = Step("delete", GuestPlace(kind, row.node_id, row.id), name)
    data = {"vmid": row.id, "name": name, "applied": False}
    if context["dry_run"]:
        return Outcome((f"Would delete {kind} {row.id} ({name}).",), data)
    when = "now" if context["now"] else "by the next /apply"
    context.confirm(f"{kind} {row.id} ({name}) will be deleted for good, {when}.")
    values = {"kind": kind, "name": name, "node": row.node_id, "absent": True}
    services.store.run(lambda db: db.wanted.upsert(row.id, values))
    if not context["now"]:
        return Outcome(
            (f"📝 {kind} {row.id} ({name}) is not wanted any more. /apply deletes it.",), data
        )
    with services.workspace.lock().alone():
        outcome = carry_out(context, (step,))
    return Outcome(outcome.shown, {**data, "applied": True})


def _only_wanted(db: RepositoryFactory, kind: str, wanted: str) -> WantedGuest | None:
    """Return the guest that is planned under this name and was never made."""
    for row in db.wanted.find_many(limit=1000, where={"kind": kind}).data:
        if wanted in (str(row.vmid), row.name):
            known = (db.vms if kind == "vm" else db.containers).find_by_id(row.vmid)
            return row if known is None or known.removed_at is not None else None
    return None


# --- power ------------------------------------------------------------------------------------


def start(context: Context) -> Outcome:
    """Start guests."""
    return _power(context, "start", "running")


def stop(context: Context) -> Outcome:
    """Stop guests."""
    return _power(context, "stop", "stopped")


def _power(context: Context, action: Any, state: str) -> Outcome:
    services, kind = context.session.services, context["kind"]
    if (context["guest"] is None) == (not context["all"]):
        raise UsageError(f"{action}: give a guest, or --all: {action} {kind} NAME")
    if context["guest"] is not None:
        rows = [services.store.read(lambda db: find(db, kind, context["guest"]))]
    else:
        where = {"removed_at": None, "is_template": False}
        where |= {"node_id": context["node"]} if context["node"] else {}
        found = services.store.read(lambda db: guests(db, kind, where))
        rows = [row for row in found if row.status != state]
    steps = tuple(Step(action, GuestPlace(kind, r.node_id, r.id), name_of(r)) for r in rows)
    if not steps or context["dry_run"]:
        told = [str(step) for step in steps]
        text = "Would do:" if steps else f"✅ Nothing to {action}."
        return Outcome((text, *(f"   {line}" for line in told)), {"steps": told, "done": []})
    if action == "stop" and len(steps) > 1:
        names = ", ".join(step.name for step in steps[:10])
        more = f" and {len(steps) - 10} more" if len(steps) > 10 else ""
        context.confirm(f"{len(steps)} guests will be stopped: {names}{more}.")
    with services.workspace.lock().alone():
        outcome = carry_out(context, steps)
    services.store.run(lambda db: _want_power(db, [r.id for r in rows], action == "start"))
    return outcome


def _want_power(db: RepositoryFactory, vmids: list[int], started: bool) -> None:  # noqa: FBT001
    """Let /plan not undo what the user just did."""
    for vmid in vmids:
        row = db.wanted.find_by_id(vmid)
        if row is not None:
            db.wanted.update(vmid, {"spec": {**row.spec, "started": started}})


KIND = Argument("kind", "vm or container", choices=KINDS)
GUEST = Argument("guest", "its name or VMID", completer="guests")
NODE = Flag("--node", "on this node", value="NODE", completer="nodes")
NOW = Flag("--now", "do it now, without /plan and /apply")
COMMANDS = (
    Command(
        "list",
        "show guests, nodes, storages, or what is wanted",
        list_resources,
        arguments=(Argument("what", "what to show", choices=LISTS),),
        flags=(
            NODE,
            Flag("--status", "in this state", value="STATE", choices=GUEST_STATUS),
            Flag("--removed", "those that are gone, too"),
        ),
        section="Guests",
    ),
    Command("describe", "show one guest", describe, arguments=(KIND, GUEST), section="Guests"),
    Command(
        "create",
        "plan a new guest; /apply makes it",
        create,
        arguments=(KIND,),
        flags=(
            Flag("--name", "its name", value="NAME"),
            Flag("--node", "its node (default: the workspace's, or the best)", value="NODE",
                 completer="nodes"),
            Flag("--vmid", "its VMID (default: a free one)", value="VMID",
                 parse=whole(100, 999_999_999)),
            Flag("--cores", "how many cores", value="N", parse=whole(1, 8192), default=1),
            Flag("--memory", "MiB of memory", value="MIB", parse=whole(16, 2**23), default=512),
            Flag("--disk", "GiB of its disk", value="GIB", parse=whole(1, 2**17), default=8),
            Flag("--storage", "where its disk lies", value="STORAGE", completer="storages"),
            Flag("--template", "what a container is made from", value="VOLID"),
            Flag("--bridge", "its network", value="BRIDGE", default="vmbr0"),
            Flag("--description", "what it is for", value="TEXT"),
            Flag("--tag", "a tag", value="TAG", repeatable=True),
            Flag("--start", "start it, too"),
            NOW,
            DRY_RUN,
        ),
        examples=("create container --name web --cores 2", "create vm --name db --now"),
        section="Guests",
    ),
    Command(
        "delete",
        "plan the end of a guest; /apply deletes it",
        delete,
        arguments=(KIND, GUEST),
        flags=(NOW, DRY_RUN),
        asks=True,
        section="Guests",
    ),
    *(
        Command(
            name,
            f"{name} a guest, or all of a kind",
            handler,
            arguments=(KIND, Argument("guest", "its name or VMID", required=False,
                                      completer="guests")),
            flags=(Flag("--all", "all of them"), NODE, DRY_RUN),
            asks=True,
            section="Guests",
        )
        for name, handler in (("start", start), ("stop", stop))
    ),
)  # fmt: skip
