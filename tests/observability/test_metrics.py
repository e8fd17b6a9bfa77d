"""Figures, traces and the log of what ran."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from src_app.observability.journal import Journal, Query
from src_app.observability.metrics import Metrics
from src_app.observability.observer import Observer
from src_app.observability.tracing import Tracer
from src_app.observability.usage import Usage
from src_app.proxmox.connection import Call

GONE = Call("get", "/nodes/pve/qemu/100/config", 0.25, "RequestFailed")
USAGE = Usage(2.0, 0.5, 1000, 100)


@dataclass(frozen=True)
class Named:
    """What an observer needs of a command."""

    name: str


@dataclass(frozen=True)
class Ended:
    """What a handler returns."""

    exit_code: int = 0


def test_a_run_is_in_both_formats() -> None:
    metrics = Metrics()
    metrics.add_run("command", "/sync", "ok", USAGE, 7)
    metrics.add_run("command", "/sync", "Unreachable", Usage(4.0, 0.0, 900, -100), 1)
    told = metrics.as_json()
    assert told["commands"]["/sync"] == {
        "runs": 2,
        "outcomes": {"ok": 1, "Unreachable": 1},
        "duration_s": {"total": 6.0, "average": 3.0, "longest": 4.0},
        "cpu_s": 0.5,
        "api_calls": 8,
        "memory_bytes": 900,
        "memory_change_bytes": -100,
    }
    assert told["error_rate"] == 0.5
    samples = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in text_string_to_metric_families(metrics.as_prometheus())
        for sample in family.samples
        if sample.labels.get("name") == "/sync"
    }
    assert samples["app_manager_runs_total", "ok"] == 1
    assert samples["app_manager_run_seconds_sum", ""] == 6.0
    assert samples["app_manager_run_api_calls_total", ""] == 8


def test_two_observers_share_nothing() -> None:
    one, other = Observer(), Observer()
    one.wrap(Named("/x"), lambda: Ended())()
    assert other.metrics.tally("command", "/x").runs == 0
    assert (other.tracer.traces(), other.journal.entries()) == ((), [])


@pytest.mark.parametrize(
    ("ended", "outcome"), [(Ended(), "ok"), (Ended(2), "exit 2")], ids=["success", "usage error"]
)
def test_a_command_reports_how_it_ended(ended: Ended, outcome: str) -> None:
    observer = Observer()
    assert observer.wrap(Named("/x"), lambda: ended)() is ended
    assert observer.metrics.tally("command", "/x").outcomes == {outcome: 1}
    (trace,) = observer.tracer.traces()
    (entry,) = observer.journal.entries()
    assert trace.spans[0].outcome == entry.facts["outcome"] == outcome
    assert entry.trace_id == trace.trace_id
    assert {"duration_s", "cpu_s", "api_calls", "memory_bytes"} <= set(entry.facts)


def test_a_command_that_raises_is_reported_and_raises() -> None:
    observer = Observer()

    def broken() -> Ended:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        observer.wrap(Named("/x"), broken)()
    assert observer.metrics.tally("command", "/x").outcomes == {"LookupError": 1}
    assert observer.journal.entries()[-1].level == "error"


def test_calls_of_a_pool_belong_to_the_command_that_waits_for_them() -> None:
    observer = Observer()

    def sync() -> Ended:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(observer.call, [GONE] * 5))
        return Ended()

    observer.wrap(Named("/sync"), sync)()
    (trace,) = observer.tracer.traces()
    assert observer.metrics.tally("command", "/sync").api_calls == 5
    assert {span.parent_id for span in trace.spans[1:]} == {trace.spans[0].span_id}
    assert observer.metrics.as_json()["api"]["outcomes"] == {"RequestFailed": 5}


def test_what_a_service_does_is_a_span_inside_the_command() -> None:
    observer = Observer()

    @observer.observed("sync.store")
    def store() -> int:
        return 7

    @observer.observed("sync.read")
    async def read() -> int:
        return store()

    observer.wrap(Named("/sync"), lambda: Ended(asyncio.run(read()) - 7))()
    (trace,) = observer.tracer.traces()
    names = {span.span_id: span.name for span in trace.spans}
    assert [(span.name, names.get(span.parent_id)) for span in trace.spans] == [
        ("/sync", None),
        ("sync.read", "/sync"),
        ("sync.store", "sync.read"),
    ]
    assert observer.metrics.as_json()["operations"]["sync.read"]["runs"] == 1


def test_operations_side_by_side_have_traces_of_their_own() -> None:
    tracer, meet = Tracer(), threading.Barrier(2)

    def work(name: str) -> None:
        with tracer.span(name):
            meet.wait(10)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(trace.spans[0].name for trace in tracer.traces()) == ["a", "b"]


def test_a_trace_counts_the_spans_that_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src_app.observability.tracing.SPANS_A_TRACE", 3)
    tracer = Tracer()
    with tracer.span("outer"):
        for number in range(5):
            tracer.add(f"call {number}", 0.1, "ok", {})
    (trace,) = tracer.traces()
    assert (len(trace.spans), trace.left_out) == (3, 3)


def test_the_log_outlives_the_process_and_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "console.log"
    first = Journal(path)
    first.write("info", "one", operation="/sync", nodes=3)
    first.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"at": "2026-11-22T00:00:00+00:00", "mess\n')
    second = Journal(path)
    second.write("error", "two")
    assert [(e.message, dict(e.facts)) for e in second.entries()] == [
        ("one", {"nodes": 3}),
        ("two", {}),
    ]
    second.clear()
    assert second.entries() == []
    second.close()


def test_the_log_keeps_secrets_out(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    journal = Journal()
    journal.open(path, secrets=["s3cr3t-value"])
    journal.write("error", "login with s3cr3t-value", password="swordfish", url="https://a:b@pve")
    journal.close()
    text = path.read_text(encoding="utf-8")
    assert [word for word in ("s3cr3t-value", "swordfish", "a:b") if word in text] == []
    assert json.loads(text)["password"] == "***"


def test_the_log_is_asked_by_level_operation_time_and_words() -> None:
    times = iter(datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(24))
    journal = Journal(now=lambda: next(times))
    journal.write("info", "Alpha", operation="/sync", trace_id="t1")
    journal.write("error", "beta", operation="/plan", trace_id="t2")
    journal.write("info", "gamma", operation="/sync", trace_id="t3")

    def found(query: Query) -> list[str]:
        return [entry.message for entry in journal.entries(query)]

    assert found(Query(level="error")) == ["beta"]
    assert found(Query(operation="/sync", count=1)) == ["gamma"]
    assert found(Query(trace_id="t1")) == ["Alpha"]
    assert found(Query(search="ALPHA")) == ["Alpha"]
    assert found(Query(since=timedelta(hours=5))) == ["gamma"]


def test_the_log_is_turned_over_before_it_grows_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src_app.observability.journal.LARGEST_BYTES", 1000)
    journal = Journal(tmp_path / "console.log")
    for number in range(100):
        journal.write("info", f"entry {number}", filler="x" * 100)
    assert len(list(tmp_path.iterdir())) == 4
    assert all(path.stat().st_size < 1400 for path in tmp_path.iterdir())
    assert journal.entries()[-1].message == "entry 99"


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "console.log"
    folder.mkdir()  # in the place of the file
    journal = Journal(folder)
    journal.write("info", "one")
    assert journal.lost == 1
    journal.close()
