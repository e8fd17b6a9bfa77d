"""The control plane: what the fixtures can do, for suites in any language."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Answer, Request, dumps, reason_phrase

_JSON: Final = (("content-type", "application/json"),)


class ControlError(Exception):
    """A control call that cannot be done: its status and what to say."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Control:
    """Answers ``/_control/…`` on the simulator's own port."""

    PREFIX: Final = "/_control"

    def __init__(self, sim: Simulator, token: str) -> None:
        self._sim = sim
        self._token = token
        self._calls: Mapping[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("POST", "/reset"): self._reset,
            ("POST", "/snapshot"): self._snapshot,
            ("POST", "/restore"): self._restore,
            ("GET", "/calls"): self._list_calls,
            ("POST", "/clock"): self._clock,
            ("GET", "/state"): self._read_state,
            ("PUT", "/state"): self._write_state,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
        }

    def owns(self, target: str) -> bool:
        """Return whether a request is for the control plane."""
        return target.startswith(self.PREFIX)

    def handle(self, request: Request) -> Answer:
        """Return the answer to a control request; errors are answers too."""
        try:
            return Answer(200, "OK", _JSON, dumps(self._dispatch(request)))
        except ControlError as exc:
            body = dumps({"error": str(exc)})
            return Answer(exc.status, reason_phrase(str(exc)), _JSON, body)

    def _dispatch(self, request: Request) -> Any:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise ControlError(401, "the control plane wants Authorization: Bearer <control_token>")
        path = request.target.partition("?")[0][len(self.PREFIX) :].rstrip("/")
        call = self._calls.get((request.method, path))
        if call is None:
            known = ", ".join(f"{verb} {where}" for verb, where in sorted(self._calls))
            raise ControlError(404, f"no control call {request.method} {path}; there are: {known}")
        return call(_body_of(request))

    def _reset(self, body: dict[str, Any]) -> Any:
        self._sim.reset()
        return {}

    def _snapshot(self, body: dict[str, Any]) -> Any:
        return {"id": self._sim.snapshot()}

    def _restore(self, body: dict[str, Any]) -> Any:
        name = body.get("id")
        try:
            self._sim.restore(str(name))
        except KeyError as exc:
            raise ControlError(404, f"there is no snapshot {name!r}") from exc
        return {}

    def _list_calls(self, body: dict[str, Any]) -> Any:
        return [asdict(call) for call in list(self._sim.calls)]

    def _read_state(self, body: dict[str, Any]) -> Any:
        from pytest_proxmox.simulator import saved  # few runs ever ask for it

        return saved.dump(self._sim)

    def _write_state(self, body: dict[str, Any]) -> Any:
        from pytest_proxmox.simulator import saved

        try:
            saved.load(self._sim, body, origin="PUT /state")
        except InvalidValue as exc:
            raise ControlError(400, str(exc)) from exc
        return {}

    def _list_faults(self, body: dict[str, Any]) -> Any:
        faults = self._sim.faults
        return [rule.to_json() | {"fired": faults.fired(rule.id)} for rule in faults.rules()]

    def _add_fault(self, body: dict[str, Any]) -> Any:
        try:
            return {"id": self._sim.faults.add(**body)}
        except InvalidValue as exc:
            raise ControlError(400, str(exc)) from exc

    def _clear_faults(self, body: dict[str, Any]) -> Any:
        name = body.get("id")
        try:
            self._sim.faults.clear() if name is None else self._sim.faults.remove(str(name))
        except KeyError as exc:
            raise ControlError(404, f"there is no fault rule {name!r}") from exc
        return {}

    def _clock(self, body: dict[str, Any]) -> Any:
        seconds = body.get("advance_s")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            raise ControlError(400, f"advance_s must be a number of seconds, not {seconds!r}")
        with self._sim.lock:
            self._sim.clock.advance(seconds)
            return {"now": self._sim.clock.now()}


def _body_of(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except ValueError as exc:
        raise ControlError(400, f"the body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise ControlError(400, "the body must be a JSON object")
    return body
