"""``/debug``, ``/health``, ``/logs``, ``/report-issue``, and what watches every command."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from src_app.console.errors import UsageError
from src_app.console.registry import (
    FAILED,
    OK,
    Argument,
    Command,
    Context,
    Flag,
    Handler,
    Outcome,
    Wrap,
)
from src_app.console.session import ConsoleSession
from src_app.observability.diagnostics import Issue, Known, bundle, names_of
from src_app.observability.health import FAILED as ILL
from src_app.observability.health import TOOLS, Patient, examine
from src_app.observability.journal import LEVELS, Entry, Query
from src_app.observability.observer import Observer
from src_app.workspace import ProjectWorkspace

SECTION = "Observation"
LOG = Path("logs") / "proxmox-mpc.log"  # in the workspace's own folder
SIGNS = {"ok": "✅", "warning": "⚠️", "failed": "❌"}


def watch_with(observer: Observer) -> Wrap:
    """Return what wraps the registry's handlers."""
    return functools.partial(_wrapped, observer)


def _wrapped(observer: Observer, command: Command, handler: Handler) -> Handler:
    return functools.partial(_run, observer, observer.wrap(command, handler))


def _run(observer: Observer, handler: Handler, context: Context) -> Outcome:
    """Run a command; the log goes where the workspace is, also for one that ``/init`` makes."""
    context.session.observer = observer
    follow(observer, context.session.workspace)
    try:
        return handler(context)
    finally:
        follow(observer, context.session.workspace)


def follow(observer: Observer, workspace: ProjectWorkspace | None) -> None:
    """Keep the log in the workspace; without one it stays in memory."""
    journal = observer.journal
    path = None if workspace is None or workspace.is_closed else workspace.parts.folder / LOG
    if path == journal.path:
        return
    if path is None or workspace is None:
        journal.close()
    else:
        secret = workspace.secret()
        journal.open(path, secrets=[secret] if secret else [])


class Observing:
    """The commands that tell of an observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def commands(self) -> tuple[Command, ...]:
        """Return the commands."""
        return (self._debug(), self._health(), self._logs(), self._report())

    def _debug(self) -> Command:
        actions = ("on", "off", "status", "logs", "metrics", "traces", "clear")
        return Command(
            "/debug",
            "more or less detail in the log, and what was measured",
            self.debug,
            arguments=(
                Argument("action", "what to do", required=False, choices=actions),
                Argument(
                    "what",
                    "a number of entries, or what is cleared",
                    required=False,
                    completer="measured",
                ),
            ),
            flags=(Flag("--prometheus", "metrics in Prometheus's text format", short="-p"),),
            examples=("/debug on", "/debug traces 3", "/debug metrics --prometheus"),
            section=SECTION,
        )

    def _health(self) -> Command:
        return Command(
            "/health",
            "try everything that the workspace needs",
            self.health,
            flags=(
                Flag("--detailed", "facts and durations too", short="-d"),
                Flag("--metrics", "with what was measured", short="-m"),
            ),
            examples=("/health", "/health --detailed --json"),
            section=SECTION,
        )

    def _logs(self) -> Command:
        return Command(
            "/logs",
            "the last entries of the log",
            self.logs,
            arguments=(Argument("count", "how many", required=False, parse=_count),),
            flags=(
                Flag("--level", "this and above", value="LEVEL", short="-l", choices=LEVELS),
                Flag(
                    "--operation", "of one command", value="NAME", short="-o", completer="commands"
                ),
                Flag("--correlation", "of one trace", value="ID", short="-c"),
                Flag("--search", "with this text", value="TEXT", short="-s"),
                Flag("--since", "of the last minutes", value="MINUTES", parse=_count),
                Flag("--summary", "only how many of each level"),
                Flag("--quiet", "only the messages", short="-q"),
            ),
            examples=("/logs 20", "/logs --level error --since 10"),
            section=SECTION,
        )

    def _report(self) -> Command:
        return Command(
            "/report-issue",
            "a bundle for a report, shown before it is written",
            self.report,
            arguments=(Argument("description", "what is wrong", rest=True),),
            flags=(
                Flag(
                    "--operation",
                    "the command that it is about",
                    value="NAME",
                    short="-o",
                    completer="commands",
                ),
                Flag("--no-files", "without the workspace's config"),
                Flag("--no-anonymize", "with the names of nodes and guests"),
                Flag("--safe", "without config, anonymised, whatever else is said"),
            ),
            asks=True,
            examples=('/report-issue "/sync hangs" --operation /sync',),
            section=SECTION,
        )

    # -- handlers ----------------------------------------------------------------------------

    def debug(self, context: Context) -> Outcome:
        """Switch, show or clear what is observed."""
        action, what = context["action"] or "status", context["what"]
        journal = self._observer.journal
        if action in ("on", "off"):
            journal.level = "debug" if action == "on" else "info"
        if action == "logs":
            return _log_outcome(journal.entries(Query(count=_number(what or "20"))))
        if action == "metrics":
            return self._metrics(prometheus=context["prometheus"])
        if action == "traces":
            return self._traces(_number(what or "5"))
        if action == "clear":
            return self._clear(what or "all")
        return self._status()

    def health(self, context: Context) -> Outcome:
        """Examine everything; the exit code is 1 where something failed."""
        health = examine(patient(context.session))
        rows = [f"{SIGNS[c.status]} {c.name}: {c.detail}" for c in health.checks]
        if context["detailed"]:
            rows = [
                f"{row} ({check.duration_s * 1000:.0f} ms)"
                for row, check in zip(rows, health.checks, strict=True)
            ]
        data = health.as_json()
        shown: list[Any] = [*rows, f"{SIGNS[health.status]} altogether: {health.status}"]
        if context["metrics"]:
            data["metrics"] = self._observer.metrics.as_json()
            shown.append(_metrics_table(data["metrics"]))
        return Outcome(tuple(shown), data, FAILED if health.status == ILL else OK)

    def logs(self, context: Context) -> Outcome:
        """Show the entries that are asked for."""
        since = context["since"]
        query = Query(
            count=context["count"] if context["count"] is not None else 50,
            level=context["level"] or "debug",
            operation=context["operation"] or "",
            trace_id=context["correlation"] or "",
            search=context["search"] or "",
            since=None if since is None else timedelta(minutes=since),
        )
        entries = self._observer.journal.entries(query)
        if context["summary"]:
            counts = {level: sum(e.level == level for e in entries) for level in LEVELS}
            shown = tuple(f"{level}: {number}" for level, number in counts.items())
            return Outcome(shown, {"summary": counts})
        return _log_outcome(entries, quiet=context["quiet"])

    def report(self, context: Context) -> Outcome:
        """Show a bundle, and write it once that is agreed to."""
        session, safe = context.session, bool(context["safe"])
        workspace = session.services.workspace
        issue = Issue(
            context["description"],
            operation=context["operation"] or "",
            files=safe is False and not context["no_files"],
            anonymise=safe or not context["no_anonymize"],
        )
        made = bundle(
            issue,
            self._observer,
            examine(patient(session, tools=())),
            known(workspace),
            files=[("config.yml", workspace.config.encode().decode())],
        )
        context.confirm(f"{made.text}\nThis is what would be written.")
        path = made.write(workspace.root)
        return Outcome((f"Written to {path}; nothing was sent.",), {"path": str(path)})

    # -- inside ------------------------------------------------------------------------------

    def _status(self) -> Outcome:
        observer = self._observer
        data = {
            "debug": observer.journal.level == "debug",
            "log": str(observer.journal.path or "in memory"),
            "traces": len(observer.tracer.traces()),
            "commands": len(observer.metrics.as_json().get("commands", {})),
            "lost_log_lines": observer.journal.lost,
        }
        return Outcome(tuple(f"{name}: {value}" for name, value in data.items()), data)

    def _metrics(self, *, prometheus: bool) -> Outcome:
        data = self._observer.metrics.as_json()
        if prometheus:
            text = self._observer.metrics.as_prometheus()
            return Outcome((text,), {"prometheus": text})
        return Outcome((_metrics_table(data),), data)

    def _traces(self, count: int) -> Outcome:
        traces = self._observer.tracer.traces()[-count:] if count else ()
        shown = [
            f"{trace.trace_id} {span.name}: {span.outcome}, {span.duration_s * 1000:.1f} ms"
            for trace in traces
            for span in trace.spans
        ]
        return Outcome(tuple(shown), {"traces": [trace.as_json() for trace in traces]})

    def _clear(self, what: str) -> Outcome:
        parts = {
            "logs": self._observer.journal.clear,
            "metrics": self._observer.metrics.clear,
            "traces": self._observer.tracer.clear,
        }
        if what not in (*parts, "all"):
            raise UsageError(f'"{what}" cannot be cleared: {", ".join(parts)} or all.')
        cleared = list(parts) if what == "all" else [what]
        for name in cleared:
            parts[name]()
        return Outcome((f"Cleared: {', '.join(cleared)}",), {"cleared": cleared})


def patient(session: ConsoleSession, tools: Sequence[str] = tuple(TOOLS)) -> Patient:
    """Return what ``/health`` examines in a session."""
    if session.workspace is None:
        return Patient(tools=tools)
    services = session.services
    return Patient(
        session.workspace.root,
        services.store,
        lambda: services.connection.get("/version"),
        tools=tools,
    )


def known(workspace: ProjectWorkspace) -> Known:
    """Return what must not be in a bundle of this workspace."""
    config, secret = workspace.config, workspace.secret()
    names: Mapping[str, str] = {
        **workspace.store.read(names_of),
        config.host: "host",
        config.name: "workspace",
        config.user: "user",
        config.token_name: "token",
    }
    return Known((secret,) if secret else (), names)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError("must be a number, 0 or more")
    return int(text)


def _number(text: str) -> int:
    try:
        return _count(text)
    except ValueError as exc:
        raise UsageError(f'"{text}" {exc}.') from exc


def _log_outcome(entries: list[Entry], *, quiet: bool = False) -> Outcome:
    shown = [
        entry.message if quiet else f"{entry.at} {entry.level:<7} {entry.message}"
        for entry in entries
    ]
    data = {"entries": [entry.as_json() for entry in entries]}
    return Outcome(tuple(shown) or ("The log has no such entries.",), data)


def _metrics_table(data: Mapping[str, Any]) -> Table:
    table = Table("what", "runs", "failed", "average", "longest", "API calls", "memory change")
    for kind in ("commands", "operations"):
        for name, tally in data.get(kind, {}).items():
            failed = tally["runs"] - tally["outcomes"].get("ok", 0)
            times = tally["duration_s"]
            table.add_row(
                name,
                str(tally["runs"]),
                str(failed),
                f"{times['average'] * 1000:.1f} ms",
                f"{times['longest'] * 1000:.1f} ms",
                str(tally["api_calls"]),
                f"{tally['memory_change_bytes'] // 1024} KiB",
            )
    return table
