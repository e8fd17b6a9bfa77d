"""One place that watches: commands in the registry, operations of services, calls to Proxmox."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

from src_app.observability.journal import Journal
from src_app.observability.metrics import Metrics
from src_app.observability.tracing import Span, Tracer
from src_app.observability.usage import between, reading
from src_app.proxmox.connection import Call

COMMAND, OPERATION = "command", "operation"


class Named(Protocol):
    """What a command is to an observer."""

    @property
    def name(self) -> str:
        """How it is called."""


class Ended(Protocol):
    """What a handler returns: how the command ended."""

    @property
    def exit_code(self) -> int:
        """Zero for success, as shells have it."""


S = TypeVar("S")
H = TypeVar("H", bound=Callable[..., Any])


class Observer:
    """Metrics, traces and a log that are fed from one place."""

    def __init__(
        self,
        *,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.tracer = tracer or Tracer()
        self.journal = journal or Journal()

    def call(self, call: Call) -> None:
        """Watch one request to Proxmox: what a ``Connection`` takes as its ``watch``."""
        outcome = call.error or "ok"
        self.metrics.add_call(call.verb, call.duration_s, call.error)
        self.tracer.add(f"{call.verb.upper()} {call.path}", call.duration_s, outcome, {})
        level = "warning" if call.error else "debug"
        self.journal.write(
            level,
            f"{call.verb.upper()} {call.path}: {outcome}",
            operation="proxmox",
            trace_id=self._trace_id(),
            duration_s=round(call.duration_s, 6),
        )

    def wrap(self, command: Named, handler: H) -> H:
        """Return a command's handler, watched: the registry's one place that wraps."""
        watched = functools.partial(self._run_command, command.name, handler)
        return cast(H, functools.update_wrapper(watched, handler))

    def _run_command(self, name: str, handler: Callable[..., Ended], *args: Any) -> Ended:
        with self.watch(COMMAND, name) as span:
            outcome = handler(*args)
            if outcome.exit_code:
                span.outcome = f"exit {outcome.exit_code}"
            return outcome

    def observed(self, name: str) -> Callable[[H], H]:
        """Return a decorator for a service's method, a coroutine or a plain one."""
        return functools.partial(self._observed, name)

    def watched(self, name: str, service: S) -> S:
        """Return a service whose public methods are watched, each as ``name.method``."""
        return cast(S, _Watched(self, name, service))

    def _observed(self, name: str, function: H) -> H:
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self.watch(OPERATION, name):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self.watch(OPERATION, name):
                return await function(*args, **kwargs)

        return cast(H, awaited if inspect.iscoroutinefunction(function) else called)

    @contextmanager
    def watch(self, kind: str, name: str) -> Iterator[Span]:
        """Watch what runs inside the block; its outcome is what it raised, or ``ok``."""
        before, calls = reading(), self.metrics.api_calls
        span: Span | None = None
        try:
            with self.tracer.span(name, {"kind": kind}) as span:
                self._log("debug", f"{name} begins", name, {})
                yield span
        finally:
            assert span is not None  # made before anything can fail
            usage, sent = between(before, reading()), self.metrics.api_calls - calls
            self.metrics.add_run(kind, name, span.outcome, usage, sent)
            facts = {
                "outcome": span.outcome,
                "duration_s": round(usage.duration_s, 6),
                "cpu_s": round(usage.cpu_s, 6),
                "api_calls": sent,
                "memory_bytes": usage.memory_bytes,
                "memory_change_bytes": usage.memory_change_bytes,
            }
            span.facts.update(facts)
            level = "info" if span.outcome == "ok" else "error"
            facts["trace_id"] = span.trace_id
            self._log(level, f"{name}: {span.outcome}", name, facts)

    def _log(self, level: str, message: str, operation: str, facts: dict[str, Any]) -> None:
        told = {"trace_id": self._trace_id(), **facts}
        self.journal.write(level, message, operation=operation, **told)

    def _trace_id(self) -> str:
        span = self.tracer.current
        return span.trace_id if span else ""


class _Watched:
    """Stands for a service; what is not a public method is the service's own."""

    def __init__(self, observer: Observer, name: str, service: object) -> None:
        self._observer = observer
        self._name = name
        self._service = service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._service, name)
        if name.startswith("_") or not inspect.ismethod(found):
            return found
        return self._observer.observed(f"{self._name}.{name}")(found)
