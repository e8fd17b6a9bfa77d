"""Every command of the console has figures, a trace and a log; and the commands that show them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.console.commands import make_registry
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.observability.journal import Query
from src_app.observability.observer import Observer

# A line for each command: a command that is not here fails the test that goes through them all.
LINES = {
    "/help": "/help",
    "/init": "/init",
    "/status": "/status",
    "/history": "/history",
    "/test": "/test",
    "/sync": "/sync --dry-run",
    "/plan": "/plan",
    "/apply": "/apply --yes",
    "/destroy": "/destroy --yes",
    "list": "list vms",
    "describe": "describe vm 999",
    "create": "create container --name observed",
    "delete": "delete container 999 --yes",
    "start": "start vm 999",
    "stop": "stop vm 999 --yes",
    "/config": "/config",
    "/validate": "/validate",
    "/workspace": "/workspace list",
    "/export": "/export --dry-run",
    "/debug": "/debug status",
    "/health": "/health",
    "/logs": "/logs 3",
    "/report-issue": "/report-issue something --yes",
    "/exit": "/exit",
}


class Sitting:
    """A console without a terminal: what is typed, and what is printed as JSON."""

    def __init__(self, folder: Path, answers: list[str] | None = None) -> None:
        self.observer = Observer()
        self.asked: list[str] = []
        self._out, self._err = io.StringIO(), io.StringIO()
        self._answers = iter(answers or [])
        ask = self._answer if answers else None
        ui = Ui(Console(file=self._out, width=400), Console(file=self._err, width=400), ask=ask)
        registry = make_registry(self.observer)
        environ = {"APP_CONSOLE_HOME": str(folder / "console-home")}
        self.session = ConsoleSession(registry, ui, cwd=folder, environ=environ)
        self.session.detect()

    def _answer(self, prompt: str, _: bool) -> str:
        self.asked.append(prompt)
        return next(self._answers)

    def run(self, line: str) -> int:
        """Return the exit code of a line."""
        return self.session.execute(line)

    def json(self, line: str) -> dict[str, Any]:
        """Return what a line prints as JSON."""
        self._out.truncate(self._out.seek(0))
        self.session.execute(f"{line} --json")
        found: dict[str, Any] = json.loads(self._out.getvalue())
        return found

    @property
    def printed(self) -> str:
        """All that people saw."""
        return self._out.getvalue() + self._err.getvalue()


@pytest.fixture
def sitting(root: Path, cluster: EmbeddedProxmox) -> Iterator[Sitting]:
    """A console in a workspace."""
    found = Sitting(root)
    with found.session:
        yield found


def test_every_command_has_figures_a_trace_and_a_log(sitting: Sitting) -> None:
    names = [command.name for command in sitting.session.registry]
    assert sorted(LINES) == sorted(names)
    for name in names:
        sitting.run(LINES[name])
        tally = sitting.observer.metrics.tally("command", name)
        trace = sitting.observer.tracer.traces()[-1]
        entry = sitting.observer.journal.entries(Query(operation=name, level="info"))[-1]
        assert (tally.runs, trace.spans[0].name, entry.operation) == (1, name, name)
        assert {"outcome", "duration_s", "api_calls", "memory_bytes"} <= set(entry.facts), name
        assert entry.trace_id == trace.trace_id


def test_a_sync_reports_its_requests(sitting: Sitting) -> None:
    assert sitting.run("/sync") == 0
    tally = sitting.observer.metrics.tally("command", "/sync")
    assert tally.api_calls >= 5  # nodes, cluster, status, and what each node has
    trace = sitting.observer.tracer.traces()[-1]
    assert [span.name for span in trace.spans[:2]] == ["/sync", "sync.sync_all"]
    assert len(trace.spans) == tally.api_calls + 2
    assert sitting.observer.metrics.tally("operation", "sync.sync_all").outcomes == {"ok": 1}


def test_a_fault_of_proxmox_is_in_figures_trace_and_log(
    sitting: Sitting, cluster: EmbeddedProxmox
) -> None:
    sitting.run("/test")
    cluster.faults.fail("GET", "/nodes", error="broken-pipe", times=50)
    assert sitting.run("/sync") == 1
    outcomes = sitting.observer.metrics.tally("command", "/sync").outcomes
    assert list(outcomes) != ["ok"]
    entry = sitting.observer.journal.entries(Query(operation="/sync", level="error"))[-1]
    assert entry.facts["outcome"] in outcomes


def test_the_log_is_in_the_workspace_and_without_its_secret(sitting: Sitting, root: Path) -> None:
    sitting.run("/test")
    text = (root / ".proxmox" / "logs" / "proxmox-mpc.log").read_text(encoding="utf-8")
    workspace = sitting.session.workspace
    assert workspace is not None
    assert '"operation": "/test"' in text
    assert workspace.secret() not in text


def test_the_log_outlives_the_console(sitting: Sitting, root: Path) -> None:
    sitting.run("/status")
    sitting.session.close()
    later = Sitting(root)
    with later.session:
        told = later.json("/logs --operation /status")
    assert [entry["operation"] for entry in told["entries"]] == ["/status"]


def test_logs_are_counted_by_level(sitting: Sitting) -> None:
    sitting.run("/status")
    sitting.run("describe vm 999")
    counts = sitting.json("/logs --summary")["summary"]
    assert counts["info"] >= 1
    assert counts["error"] >= 1


def test_debug_shows_metrics_in_both_formats(sitting: Sitting) -> None:
    sitting.run("/status")
    told = sitting.json("/debug metrics")
    assert told["commands"]["/status"]["runs"] == 1
    text = sitting.json("/debug metrics --prometheus")["prometheus"]
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"app_manager_runs", "app_manager_proxmox_request_seconds"} <= names


def test_debug_on_logs_each_request(sitting: Sitting) -> None:
    sitting.run("/test")
    assert sitting.json("/logs --operation proxmox")["entries"] == []
    assert sitting.json("/debug on")["debug"] is True
    sitting.run("/test")
    assert sitting.json("/logs --operation proxmox")["entries"] != []
    assert sitting.json("/debug off")["debug"] is False


def test_debug_clears_what_is_named(sitting: Sitting) -> None:
    sitting.run("/status")
    sitting.run("/debug clear logs")
    told = sitting.json("/logs --operation /status")
    assert told["entries"] == []
    assert len(sitting.observer.tracer.traces()) > 1
    assert sitting.run("/debug clear everything") == 2


def test_health_tries_the_cluster(sitting: Sitting, cluster: EmbeddedProxmox) -> None:
    checks = {check["name"]: check for check in sitting.json("/health")["checks"]}
    assert checks["proxmox"]["status"] == checks["database"]["status"] == "ok"
    cluster.faults.fail("GET", "/version", error="broken-pipe", times=50)
    assert sitting.run("/health --detailed --metrics") == 1


def test_a_report_is_shown_before_it_is_written(root: Path, cluster: EmbeddedProxmox) -> None:
    sitting = Sitting(root, answers=["n", "y"])
    folder = root / ".proxmox" / "diagnostics"
    with sitting.session:
        assert sitting.run("/report-issue it hangs") != 0
        assert not folder.exists()
        assert '"description": "it hangs"' in sitting.printed
        assert sitting.run("/report-issue it hangs") == 0
        (written,) = folder.iterdir()
        workspace = sitting.session.workspace
        assert workspace is not None
        text = written.read_text(encoding="utf-8")
        assert workspace.secret() not in text
        assert workspace.config.name not in json.loads(text)["files"]["config.yml"].split()
    assert len(sitting.asked) == 2


def test_an_export_is_written_once_and_validates(
    sitting: Sitting, root: Path, cluster: EmbeddedProxmox
) -> None:
    cluster.plant(vmid=9301, type="qemu", config={"name": "web", "memory": 256})
    sitting.run("/sync")
    first = sitting.json("/export")
    assert "vms.tf" in first["terraform"]["changed"]
    assert "inventory.yml" in first["ansible"]["changed"]
    assert "web_9301" in (root / "terraform" / "vms.tf").read_text(encoding="utf-8")
    again = sitting.json("/export")
    assert again["terraform"]["changed"] == again["ansible"]["changed"] == []
    assert sitting.run("/validate") == 0
    (root / "terraform" / "main.tf").unlink()
    assert sitting.run("/validate --terraform") == 1
    assert sitting.run("/validate --terraform --fix") == 0


def test_a_dry_run_of_an_export_writes_nothing(sitting: Sitting, root: Path) -> None:
    told = sitting.json("/export terraform --dry-run")
    assert "main.tf" in told["terraform"]["changed"]
    assert list((root / "terraform").iterdir()) == []


def test_an_export_goes_where_it_is_told_to(sitting: Sitting, tmp_path: Path) -> None:
    assert sitting.run(f"/export ansible --output {tmp_path / 'code'}") == 0
    assert (tmp_path / "code" / "ansible" / "playbooks" / "site.yml").exists()
