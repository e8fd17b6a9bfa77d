"""The gateway: every call of an app under test, judged, written down, forwarded, recorded."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from pytest_proxmox.errors import InvalidValue, LeaseLost, ProxmoxTestError
from pytest_proxmox.faults import (
    CONDITIONS,
    REQUEST_EFFECTS,
    TASK_EFFECTS,
    FaultRule,
    FaultRules,
    vmid_of,
)
from pytest_proxmox.gateway.desk import BAD_LOGIN, Desk
from pytest_proxmox.gateway.keeper import Keeper, Taken
from pytest_proxmox.gateway.policy import Policy
from pytest_proxmox.gateway.reach import Call, Making, Unclear, reach_of
from pytest_proxmox.gateway.record import Exchange, Recorder
from pytest_proxmox.gateway.upstream import Upstream, data_of, parsed
from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.wire import Answer, Delivery, PveError, Request
from pytest_proxmox.target.failures import Code, judge
from pytest_proxmox.values import Upid

FORBIDDEN: Final = 403
UNAUTHORIZED: Final = 401
BAD_REQUEST: Final = 400
NOT_HERE: Final = 501
OK: Final = 200


class GatewayFaults(FaultRules):
    """Fault rules on the way to a real Proxmox, which itself does as it likes."""

    def add(self, rule: FaultRule | None = None, /, **values: Any) -> str:
        """Put a rule in force and return its id.

        Raises:
            InvalidValue: it is wrong, or needs a Proxmox that can be told to misbehave.
        """
        effect = rule.effect if rule is not None else values.get("effect")
        if effect in (*TASK_EFFECTS, *CONDITIONS):
            raise InvalidValue(
                f'fault "{effect}" happens inside a Proxmox, and this one is real',
                hint=f"Use {', '.join(REQUEST_EFFECTS)}, or the embedded Proxmox",
            )
        return super().add(rule, **values)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that was not forwarded, and why; ``test`` is the node id of the test that ran."""

    what: str
    why: str
    test: str = ""

    def __str__(self) -> str:
        return f"{self.what} was refused: {self.why}"


class Gateway:
    """Stands between an app and a Proxmox. May be called by several threads.

    ``faults`` are rules in force, ``refusals`` what was not forwarded, oldest first.
    """

    def __init__(
        self, upstream: Upstream, *, desk: Desk, keeper: Keeper, policy: Policy, recorder: Recorder
    ) -> None:
        self.desk = desk
        self.keeper = keeper
        self.recorder = recorder
        self.faults = GatewayFaults()
        self._upstream = upstream
        self._policy = policy
        self._refusals: list[Refusal] = []
        self._lock = threading.Lock()

    def refusals(self, test: str | None = None) -> list[Refusal]:
        """Return the refusals of a test, of all without one."""
        with self._lock:
            return [one for one in self._refusals if test in (None, one.test)]

    def handle(self, request: Request) -> Answer:
        """Return the answer to a request."""
        try:
            call = parsed(request)
        except Unclear as exc:
            return self._refuse(Call(request.method, request.target.partition("?")[0]), str(exc))
        except PveError as exc:
            return wire.failure(exc, extjs=False)
        if call is None:
            return wire.bare(NOT_HERE, "the gateway has /api2/json and /api2/extjs only", text=True)
        if (call.method, call.path) == ("POST", "/access/ticket"):
            return self._log_in(call)
        if why := self.desk.objection(call, dict(request.headers)):
            return wire.bare(UNAUTHORIZED, why)
        return self._with_faults(request, call)

    def _log_in(self, call: Call) -> Answer:
        data = self.desk.log_in(call)
        return (
            wire.bare(UNAUTHORIZED, BAD_LOGIN) if data is None else wire.success(data, extjs=False)
        )

    # Faults -----------------------------------------------------------------------------------

    def _with_faults(self, request: Request, call: Call) -> Answer:
        fired = self.faults.for_request(call.method, call.path) if self.faults else []
        for rule in fired:
            if rule.phase == "before" and rule.effect != "latency":
                return self._fault(rule, call)
        answer = self._guarded(request, call)
        for rule in fired:
            if rule.effect == "latency":
                late = rule.seconds + rule.jitter * random.random()  # noqa: S311 - not a secret
                answer = replace(answer, delivery=Delivery(delay_s=late))
            elif rule.phase == "after":
                answer = self._fault(rule, call)
        return answer

    def _fault(self, rule: FaultRule, call: Call) -> Answer:
        """The answer that a rule gives instead of the Proxmox's."""
        if rule.effect in ("drop", "hang"):
            delivery = Delivery(drop=rule.effect == "drop", hang=rule.effect == "hang")
            answer = Answer(0, "", delivery=delivery)
        elif rule.effect == "expired-ticket":
            answer = wire.bare(UNAUTHORIZED, "Authentication failed!")
        else:
            status, text = rule.message(vmid=vmid_of(call.path))
            bare = status == UNAUTHORIZED or status >= 595
            answer = wire.bare(status, text) if bare else _error(status, text)
        self._note(call, answer, f"fault {rule.effect} {rule.phase}")
        return answer

    # Judging and forwarding -------------------------------------------------------------------

    def _guarded(self, request: Request, call: Call) -> Answer:
        try:
            if (call.method, call.path) == ("GET", "/cluster/nextid") and not call.parameters:
                return wire.success(str(int(self.keeper.next_vmid())), extjs=False)
            if not call.is_write:
                return self._upstream(request, call, door="app")
            reach = reach_of(call)
            if why := self._policy.objection(call, reach, self.keeper.is_leased):
                return self._refuse(call, why)
            if reach.making is not None:
                return self._create(request, call, reach.making)
        except Unclear as exc:
            return self._refuse(call, str(exc))
        except LeaseLost as exc:
            return self._refuse(call, str(exc))
        except ProxmoxTestError as exc:  # the ledger, or the Proxmox while we asked it
            return _error(500, f"pytest-proxmox gateway: {exc}")
        return self._upstream(request, call, door="app")

    def _create(self, request: Request, call: Call, making: Making) -> Answer:
        """Forward what makes a guest, written down before, with the lease's pool in it."""
        try:
            lease = self.keeper.expect(making, call.parameters)
        except Taken as exc:
            return self._is_taken(call, making, exc)
        except ProxmoxTestError as exc:
            return self._refuse(call, str(exc))
        if lease.pool is not None and making.pool is None:
            request, call = _with_parameter(request, call, "pool", lease.pool)
        answer = self._upstream(request, call, door="app")
        if answer.status == OK:
            self.keeper.made(lease, Upid.parse(_upid_of(answer)))
        elif judge(answer.reason, status=answer.status, write=True).code == Code.VMID_TAKEN:
            self.keeper.beaten(lease)
        return answer

    def _is_taken(self, call: Call, making: Making, why: Taken) -> Answer:
        """What a node says of a VMID that is taken: an app then tries another one."""
        if call.one("force") not in (None, "0"):
            return self._refuse(call, str(why))
        what = f"{'CT' if making.kind == 'lxc' else 'VM'} {int(making.vmid)}"
        answer = _error(500, f"{what} already exists on node '{making.node}'")
        self._note(call, answer, str(why))
        return answer

    def _refuse(self, call: Call, why: str) -> Answer:
        refusal = Refusal(f"{call.method} {call.path}", why, self.recorder.test)
        with self._lock:
            self._refusals.append(refusal)
        answer = _error(FORBIDDEN, f"Permission check failed (pytest-proxmox gateway: {why})")
        self._note(call, answer, "refused")
        return answer

    def _note(self, call: Call, answer: Answer, note: str) -> None:
        exchange = Exchange(
            call.method, call.path, call.parameters, answer.status, answer.reason, note=note
        )
        self.recorder.add(exchange, to_disk=False)


def _error(status: int, text: str) -> Answer:
    return wire.failure(PveError(status, text), extjs=False)


def _upid_of(answer: Answer) -> str:
    data: Any = data_of(answer)
    return str(data.get("data")) if isinstance(data, dict) else ""


def _with_parameter(request: Request, call: Call, name: str, value: str) -> tuple[Request, Call]:
    """The same request with one more parameter, in the query, which PVE reads for every body."""
    glue = "&" if "?" in request.target else "?"
    target = f"{request.target}{glue}{urlencode({name: value})}"
    more = {**call.parameters, name: value}
    return replace(request, target=target), replace(call, parameters=more)
