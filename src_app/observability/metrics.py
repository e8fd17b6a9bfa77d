"""Figures of what ran: for Prometheus, and as JSON."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from src_app.observability.usage import Usage, memory_bytes

PREFIX = "app_manager"
BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of all runs of one thing."""

    runs: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    total_s: float = 0.0
    longest_s: float = 0.0
    cpu_s: float = 0.0
    api_calls: int = 0
    memory_bytes: int = 0  # at the end of the last run
    memory_change_bytes: int = 0  # of the last run

    def with_run(self, outcome: str, usage: Usage, api_calls: int) -> Tally:
        """Return the tally with one more run."""
        return Tally(
            self.runs + 1,
            {**self.outcomes, outcome: self.outcomes.get(outcome, 0) + 1},
            self.total_s + usage.duration_s,
            max(self.longest_s, usage.duration_s),
            self.cpu_s + usage.cpu_s,
            self.api_calls + api_calls,
            usage.memory_bytes,
            usage.memory_change_bytes,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the tally for programs; times in seconds."""
        return {
            "runs": self.runs,
            "outcomes": dict(self.outcomes),
            "duration_s": {
                "total": round(self.total_s, 6),
                "average": round(self.total_s / self.runs, 6) if self.runs else 0.0,
                "longest": round(self.longest_s, 6),
            },
            "cpu_s": round(self.cpu_s, 6),
            "api_calls": self.api_calls,
            "memory_bytes": self.memory_bytes,
            "memory_change_bytes": self.memory_change_bytes,
        }


class Metrics:
    """All figures of one process, in memory; one object, so that two can live side by side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._api_calls = 0
        self._api_errors: dict[str, int] = {}
        self._api_total_s = 0.0
        self.registry = CollectorRegistry()
        labels = ["kind", "name"]
        self._runs = Counter(
            f"{PREFIX}_runs", "Runs by outcome", [*labels, "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            f"{PREFIX}_run_seconds", "Duration", labels, registry=self.registry, buckets=BUCKETS
        )
        self._calls = Counter(
            f"{PREFIX}_run_api_calls", "Requests to Proxmox", labels, registry=self.registry
        )
        self._change = Gauge(
            f"{PREFIX}_run_memory_change_bytes",
            "Memory that the last run took, or gave back",
            labels,
            registry=self.registry,
        )
        self._api_seconds = Histogram(
            f"{PREFIX}_proxmox_request_seconds",
            "Duration of requests to Proxmox",
            ["verb", "outcome"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        memory = Gauge(f"{PREFIX}_memory_bytes", "Resident memory", registry=self.registry)
        memory.set_function(memory_bytes)

    @property
    def api_calls(self) -> int:
        """How many requests were sent."""
        return self._api_calls

    def add_call(self, verb: str, duration_s: float, error: str) -> None:
        """Count one request to Proxmox."""
        outcome = error or "ok"
        with self._lock:
            self._api_calls += 1
            self._api_total_s += duration_s
            self._api_errors[outcome] = self._api_errors.get(outcome, 0) + 1
        self._api_seconds.labels(verb, outcome).observe(duration_s)

    def add_run(self, kind: str, name: str, outcome: str, usage: Usage, api_calls: int) -> None:
        """Count one run of a command or of a service's operation."""
        with self._lock:
            tally = self._tallies.get((kind, name), Tally())
            self._tallies[kind, name] = tally.with_run(outcome, usage, api_calls)
        self._runs.labels(kind, name, outcome).inc()
        self._seconds.labels(kind, name).observe(usage.duration_s)
        self._calls.labels(kind, name).inc(api_calls)
        self._change.labels(kind, name).set(usage.memory_change_bytes)

    def tally(self, kind: str, name: str) -> Tally:
        """Return what is known of one thing; an empty tally where it never ran."""
        with self._lock:
            return replace(self._tallies.get((kind, name), Tally()))

    def as_prometheus(self) -> str:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self.registry).decode()

    def as_json(self) -> dict[str, Any]:
        """Return all figures for programs."""
        with self._lock:
            tallies = dict(self._tallies)
            api = {
                "calls": self._api_calls,
                "outcomes": dict(self._api_errors),
                "duration_s": round(self._api_total_s, 6),
            }
        kinds: dict[str, dict[str, Any]] = {}
        for (kind, name), tally in sorted(tallies.items()):
            kinds.setdefault(f"{kind}s", {})[name] = tally.as_json()
        runs = sum(tally.runs for tally in tallies.values())
        failed = sum(n for t in tallies.values() for word, n in t.outcomes.items() if word != "ok")
        return {
            **kinds,
            "api": api,
            "memory_bytes": memory_bytes(),
            "error_rate": round(failed / runs, 6) if runs else 0.0,
        }

    def clear(self) -> None:
        """Forget the tallies; counters for Prometheus never go back."""
        with self._lock:
            self._tallies.clear()
