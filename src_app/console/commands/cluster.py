"""Commands between workspace and cluster: sync, plan, apply, destroy."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src_app.console.errors import UsageError
from src_app.console.registry import FAILED, Command, Context, Flag, Outcome
from src_app.console.tables import counted, grid
from src_app.proxmox.inventory import Configs, Interrupted
from src_app.proxmox.lifecycle import GuestPlace
from src_app.services.changing import Step
from src_app.services.planning import Plan, make_plan
from src_app.services.syncing import Filter, SyncReport
from src_app.workspace.files import put
from src_app.workspace.parts import Parts

RESUME_S = 3600.0  # an interrupted sync's reads are too old to go on from behind this
CACHE = "sync.json"


# --- /sync ------------------------------------------------------------------------------------


def sync(context: Context) -> Outcome:
    """Bring the database in step with the cluster; a dry run only tells."""
    session = context.session
    services = session.services
    wanted, parts = Filter.parse(context["filter"]), services.workspace.parts
    known = _kept(parts) if context["resume"] else {}
    with services.workspace.lock().alone(), session.ui.progress("Reading guests") as progress:
        try:
            report = services.sync.sync_all(
                wanted, dry_run=context["dry_run"], known=known, progress=progress
            )
        except Interrupted as exc:
            _keep(parts, {**known, **exc.configs})
            raise
        if report.stored:
            services.workspace.keep_good()
    parts.files.remove(parts.folder / "cache" / CACHE)
    return _told(report, verbose=context["verbose"])


def _keep(parts: Parts, configs: Configs) -> None:
    """Remember what was read, for ``--resume``."""
    plain = [[node, vmid, dict(config)] for (node, vmid), config in configs.items()]
    parts.files.make_folder(parts.folder / "cache")
    data = json.dumps({"at": time.time(), "configs": plain}).encode()
    put(parts.files, parts.folder / "cache" / CACHE, data, private=True)


def _kept(parts: Parts) -> Configs:
    path = parts.folder / "cache" / CACHE
    try:
        plain = json.loads(path.read_bytes())
        age_s, configs = time.time() - plain["at"], plain["configs"]
    except (FileNotFoundError, ValueError, KeyError) as exc:
        raise UsageError("/sync: there is no interrupted sync to resume") from exc
    if not 0 <= age_s < RESUME_S:
        raise UsageError("/sync: the interrupted sync is too old; begin anew without --resume")
    return {(str(node), int(vmid)): config for node, vmid, config in configs}


def _told(report: SyncReport, *, verbose: bool) -> Outcome:
    counts = report.counts()
    rows = _drift(report)
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    verb = "✅ Synced" if report.stored else "🔍 Dry run, nothing was written"
    shown: list[Any] = [f"{verb}: {told or 'nothing is there'}"]
    if rows and (verbose or len(rows) <= 30):
        shown.append(grid(("", "Resource", "What"), rows))
    elif rows:
        shown.append(f"{len(rows)} differences; /sync --verbose lists them.")
    listed = [{"change": c, "resource": r, "what": w} for c, r, w in rows]
    return Outcome(tuple(shown), {"stored": report.stored, "counts": counts, "drift": listed})


def _drift(report: SyncReport) -> list[tuple[str, str, str]]:
    """Return what differs, a row each."""
    difference = report.difference
    rows: list[tuple[str, str, str]] = []
    for sign, groups in (
        ("+", difference.added), ("↩", difference.returned), ("-", difference.removed),
    ):  # fmt: skip
        for kind, found in groups.items():
            rows += [(sign, _resource(kind, row), str(row.get("status") or "")) for row in found]
    for change in difference.changed:
        what = ", ".join(
            f"{name}: {_short(old)} → {_short(new)}" for name, (old, new) in change.fields.items()
        )
        rows.append(("~", f"{change.type} {'/'.join(map(str, change.key))}", what))
    return rows


def _resource(kind: str, row: Mapping[str, Any]) -> str:
    if kind == "storage":
        return f"storage {row['node_id']}/{row['name']}"
    name = row.get("name") or row.get("hostname")
    return f"{kind} {row['id']}{f' ({name})' if name else ''}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


# --- /plan, /apply, /destroy --------------------------------------------------------------------


def _plan(context: Context) -> Plan:
    services = context.session.services
    with context.session.ui.progress("Reading guests") as progress:
        report = services.sync.sync_all(dry_run=True, progress=progress)
    return make_plan(services.store, report)


def plan(context: Context) -> Outcome:
    """Show what /apply would do."""
    found = _plan(context)
    return Outcome(tuple(_shown(found)), _data(found), FAILED if found.conflicts else 0)


def _shown(found: Plan) -> list[Any]:
    shown: list[Any] = []
    if found.steps:
        signs = {"create": "+", "delete": "-", "configure": "~", "start": "▶", "stop": "■"}
        rows = [(signs[s.action], str(s), _detail(s)) for s in found.steps]
        shown += [f"📋 {counted(len(found.steps), 'step')}:", grid(("", "Step", "What"), rows)]
    elif not found.conflicts:
        shown.append("✅ Nothing to do: the cluster is as it is wanted.")
    shown += [f"⚠️  {text}" for text in found.conflicts]
    drift = ", ".join(f"{n} {name}" for name, n in (found.drift or {}).items() if n)
    if drift:
        shown.append(f"Since the last /sync the cluster changed by itself: {drift}.")
    return shown


def _detail(step: Step) -> str:
    if step.spec is not None:
        return f"{step.spec.cores} cores, {step.spec.memory_mib} MiB, {step.spec.disk_gib} GiB disk"
    return ", ".join(f"{k}: {step.was.get(k)} → {v}" for k, v in step.values.items())


def _data(found: Plan) -> dict[str, Any]:
    steps = [
        {"action": s.action, "kind": s.place.kind, "vmid": s.place.vmid, "node": s.place.node,
         "name": s.name, "what": _detail(s)}
        for s in found.steps
    ]  # fmt: skip
    return {"steps": steps, "conflicts": list(found.conflicts), "drift": dict(found.drift or {})}


def apply(context: Context) -> Outcome:
    """Do what the plan says: all of it, or what was begun is undone."""
    with context.session.services.workspace.lock().alone():
        found = _plan(context)
        if context["dry_run"] or found.is_empty or found.conflicts:
            _forget_fulfilled(context, found, dry_run=context["dry_run"])
            return Outcome(tuple(_shown(found)), _data(found), FAILED if found.conflicts else 0)
        if not context.session.ui.as_json and not context["json"]:
            for item in _shown(found):
                context.session.ui.err.print(item)
        gone = [step for step in found.steps if step.action == "delete"]
        warning = f" {counted(len(gone), 'guest')} will be deleted for good." if gone else ""
        context.confirm(f"{counted(len(found.steps), 'step')} to change the cluster.{warning}")
        outcome = carry_out(context, found.steps)
        _forget_fulfilled(context, found, dry_run=False)
    return outcome


def carry_out(context: Context, steps: tuple[Step, ...]) -> Outcome:
    """Return what became of steps, each with its spec completed; the copy of the database too.

    Raises:
        ChangeFailed: one failed; what the others did was undone.
    """
    services = context.session.services
    full = tuple(_completed(context, step) for step in steps)
    try:
        with context.session.ui.progress("Changing guests") as progress:
            ending = services.changes.run(full, progress=progress)
    finally:
        services.workspace.keep_good()
    shown = (f"✅ {len(ending.done)} done:", *(f"   {text}" for text in ending.done))
    return Outcome(shown, {"done": list(ending.done)})


def _completed(context: Context, step: Step) -> Step:
    if step.spec is None:
        return step
    return replace(step, spec=context.session.services.life.completed(step.spec, step.place))


def _forget_fulfilled(context: Context, found: Plan, *, dry_run: bool) -> None:
    """Forget guests that were wanted gone and are."""
    if found.fulfilled and not dry_run:
        where = {"vmid": list(found.fulfilled)}
        context.session.services.store.run(lambda db: db.wanted.delete_many(where))


def destroy(context: Context) -> Outcome:
    """Delete the guests that this workspace wanted, or those that are named."""
    services = context.session.services
    wanted = services.store.read(lambda db: db.wanted.find_many(limit=1000).data)
    named = set(context["target"])
    chosen = [row for row in wanted if not named or {row.name, str(row.vmid)} & named]
    missing = named - {row.name for row in chosen} - {str(row.vmid) for row in chosen}
    if missing:
        raise UsageError(f"/destroy: not a guest of this workspace: {', '.join(sorted(missing))}")
    steps = []
    for row in chosen:
        place = GuestPlace("vm" if row.kind == "vm" else "container", row.node, row.vmid)
        guest = services.life.look(place)
        if guest is not None:
            steps.append(Step("delete", place, guest.name))
    told = [str(step) for step in steps]
    if not steps or context["dry_run"]:
        text = "Would delete:" if steps else "✅ Nothing to delete."
        return Outcome((text, *(f"   {line}" for line in told)), {"steps": told, "done": []})
    names = ", ".join(f"{step.name} ({step.place.vmid})" for step in steps)
    context.confirm(f"{counted(len(steps), 'guest')} will be deleted for good: {names}.")
    with services.workspace.lock().alone():
        return carry_out(context, tuple(steps))


DRY_RUN = Flag("--dry-run", "only show what it would do", short="-n")
COMMANDS = (
    Command(
        "/sync",
        "read the cluster into the workspace, and tell what differs",
        sync,
        flags=(
            DRY_RUN,
            Flag(
                "--filter",
                "only these: vms, node=NAME, name=web*, status=…, tag=…",
                value="WHICH",
                short="-f",
                repeatable=True,
                completer="filters",
            ),
            Flag("--resume", "go on where a failed sync ended"),
            Flag("--verbose", "list every difference", short="-v"),
        ),
        examples=("/sync --dry-run", "/sync --filter containers --filter node=pve"),
        section="Cluster",
    ),
    Command("/plan", "show what /apply would do", plan, section="Cluster"),
    Command(
        "/apply",
        "make the cluster as it is wanted; a failure undoes what was begun",
        apply,
        flags=(DRY_RUN,),
        asks=True,
        section="Cluster",
    ),
    Command(
        "/destroy",
        "delete the guests of this workspace",
        destroy,
        flags=(
            DRY_RUN,
            Flag(
                "--target",
                "only this guest",
                value="GUEST",
                short="-t",
                repeatable=True,
                completer="wanted",
            ),
        ),
        asks=True,
        section="Cluster",
    ),
)
