"""Traces: what ran inside what, and for how long."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

KEPT_TRACES = 100
SPANS_A_TRACE = 2000  # a sync of a thousand guests is whole; what is over is counted


@dataclass
class Span:
    """One piece of work in a trace; ``outcome`` is ``running`` until it ended."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    begun_s: float
    duration_s: float = 0.0
    outcome: str = "running"
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the span for programs."""
        return {
            "name": self.name,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "duration_s": round(self.duration_s, 6),
            "outcome": self.outcome,
            **({"facts": self.facts} if self.facts else {}),
        }


@dataclass
class Trace:
    """All spans of one run, the outermost first."""

    trace_id: str
    spans: list[Span] = field(default_factory=list)
    left_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the trace for programs."""
        spans = [span.as_json() for span in self.spans]
        return {"trace_id": self.trace_id, "spans": spans, "left_out": self.left_out}


class Tracer:
    """Keeps the last traces of a process in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._traces: deque[Trace] = deque(maxlen=KEPT_TRACES)
        self._current: ContextVar[Span | None] = ContextVar("span", default=None)
        self._root: Span | None = None  # for threads that were not given the context

    @property
    def current(self) -> Span | None:
        """The innermost span that runs; in a thread of a pool, the outermost of the process."""
        return self._current.get() or self._root

    def traces(self) -> tuple[Trace, ...]:
        """Return the traces that are kept, oldest first."""
        with self._lock:
            return tuple(self._traces)

    def clear(self) -> None:
        """Forget the traces that are kept."""
        with self._lock:
            self._traces.clear()

    @contextmanager
    def span(self, name: str, facts: Mapping[str, Any] | None = None) -> Iterator[Span]:
        """Yield a span that lasts as long as the block, inside the one that runs already."""
        parent = self._current.get()
        span = self._begin(name, parent, facts or {})
        is_root = parent is None and self._root is None
        if is_root:
            self._root = span
        token = self._current.set(span)
        try:
            yield span
        except BaseException as exc:
            span.outcome = type(exc).__name__
            raise
        finally:
            self._current.reset(token)
            if is_root:
                self._root = None
            span.duration_s = self._clock() - span.begun_s
            if span.outcome == "running":
                span.outcome = "ok"

    def add(self, name: str, duration_s: float, outcome: str, facts: Mapping[str, Any]) -> None:
        """Add a span that has ended already."""
        span = self._begin(name, self.current, facts)
        span.begun_s -= duration_s
        span.duration_s, span.outcome = duration_s, outcome

    def _begin(self, name: str, parent: Span | None, facts: Mapping[str, Any]) -> Span:
        trace_id = parent.trace_id if parent else secrets.token_hex(8)
        span = Span(
            name,
            trace_id,
            secrets.token_hex(4),
            parent.span_id if parent else "",
            self._clock(),
            facts=dict(facts),
        )
        with self._lock:
            trace = next((t for t in reversed(self._traces) if t.trace_id == trace_id), None)
            if trace is None:
                trace = Trace(trace_id)
                self._traces.append(trace)
            if len(trace.spans) < SPANS_A_TRACE:
                trace.spans.append(span)
            else:
                trace.left_out += 1
        return span
