"""The order of judgement: what a node looks at first, and what it says then (golden 17)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.access import NOBODY, Auth, Unauthorized
from pytest_proxmox.simulator.family import Call, Handler
from pytest_proxmox.simulator.quorum import is_online
from pytest_proxmox.simulator.router import Match, Router
from pytest_proxmox.simulator.schema.catalog import Method, conflicts, verify
from pytest_proxmox.simulator.schema.shapes import example
from pytest_proxmox.simulator.wire import Answer, PveError, Request

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

VERBS: Final = ("GET", "POST", "PUT", "DELETE")
FORMATS: Final = ("json", "extjs", "html")
LOCALHOST: Final = "localhost"
_TASK_READS: Final = (
    "/nodes/{node}/tasks/{upid}/status",
    "/nodes/{node}/tasks/{upid}/log",
)


@dataclass(slots=True)
class Trace:
    """What a request turned out to be, filled on its way: for ``calls`` and for faults."""

    path: str = ""
    template: str = ""
    auth: Auth = NOBODY
    params: Mapping[str, Any] = field(default_factory=dict)


class Pipeline:
    """Answers requests from one simulator's state."""

    def __init__(self, sim: Simulator, handlers: Callable[[str, str], Handler | None]) -> None:
        self._sim = sim
        self._schema = sim.schema
        self._router = Router(sim.schema.templates())
        self._handler_of = handlers

    def answer(self, request: Request, trace: Trace) -> Answer:
        """Return the answer to a request below ``/api2``; every error is an answer too."""
        if request.method not in VERBS:
            return wire.bare(501, f"method '{request.method}' not available")
        location = request.target.partition("?")[0]
        form, path = _split_prefix(location)
        if form not in FORMATS:
            return _no_formatter(location, form)
        trace.path = path
        answer = self._judged(request, path, trace, extjs=form == "extjs")
        return wire.page(answer, path) if form == "html" else answer

    def _judged(self, request: Request, path: str, trace: Trace, *, extjs: bool) -> Answer:
        try:
            reply = self._judge(request, path, trace)
        except Unauthorized as exc:
            return wire.bare(401, str(exc))
        except PveError as error:
            if error.status == 500 and error.message.startswith("malformed JSON"):
                return wire.bare(500, error.message, text=True)
            return wire.failure(error, extjs=extjs)
        return wire.success(reply, extjs=extjs)

    def _judge(self, request: Request, path: str, trace: Trace) -> Any:
        match = self._router.match(path)
        method = self._schema.method(match.template, request.method) if match else None
        trace.auth = auth = self._authenticate(request, method)
        if match is None or method is None:
            top = self._handler_of("GET", "/") if not path.strip("/") else None
            if top is not None and request.method == "GET":  # the schema does not know the top
                return top(Call(self._sim, auth, "GET", path, "/", {}))
            raise PveError(501, f"Method '{request.method} {unquote(path)}' not implemented")
        trace.template = match.template
        given, upload = wire.parameters(request)
        raw: dict[str, Any] = given | match.params
        self._check_permission(method, auth, raw)
        node = self._node(method, match)
        if given and (clash := conflicts(match.params, given)):
            raise PveError.fields(clash)
        verified = verify(method, raw)
        if verified.errors:
            raise PveError.fields(verified.errors)
        trace.params = verified.values
        values = dict(verified.values)
        call = Call(self._sim, auth, request.method, path, match.template, values, node, upload)
        self._move_clock(call)
        return self._run(call, method)

    def _authenticate(self, request: Request, method: Method | None) -> Auth:
        """Return who asks; a path that is open to the world needs nobody, and no token."""
        permissions = (method.permissions if method else None) or {}
        if method is None or permissions.get("user") != "world":
            return self._sim.access.authenticate(request)
        header = request.headers.get("authorization", "")
        if header.startswith("PVEAPIToken") and not method.allowtoken:
            raise PveError.forbidden(
                f"URI '{method.path}' not available with API token, need proper ticket.\n"
            )
        return NOBODY

    def _check_permission(self, method: Method, auth: Auth, raw: Mapping[str, Any]) -> None:
        if auth.tokenid is not None and not method.allowtoken:
            raise PveError.forbidden(
                f"URI '{method.path}' not available with API token, need proper ticket.\n"
            )
        permissions = method.permissions
        if permissions is None:  # nothing declared: for root alone
            if not auth.is_root_ticket:
                raise PveError.forbidden("user != root@pam")
        elif "user" not in permissions:  # open to every user, whatever else stands there
            check = permissions["check"]
            self._sim.access.judge(auth, check, raw)

    def _node(self, method: Method, match: Match) -> str:
        """Return the node in the path; one that is not there fails as a name look-up does."""
        asked = match.params.get("node")
        if asked is None:
            return self._sim.local_node
        name = self._sim.local_node if asked == LOCALHOST else asked
        if name not in self._sim.state.nodes:
            raise PveError(
                500,
                f"hostname lookup '{name}' failed - failed to get address info for: {name}:"
                " Name or service not known",
            )
        if method.proxyto == "node" and not is_online(self._sim, name):
            raise PveError(595, "No route to host")
        return name

    def _move_clock(self, call: Call) -> None:
        if call.verb != "GET":
            self._sim.tasks.run_until(self._sim.clock.now())
        elif call.template in _TASK_READS:
            self._sim.tasks.run_to_end(str(call.params["upid"]))
        else:
            self._sim.clock.glance()

    def _run(self, call: Call, method: Method) -> Any:
        handler = self._handler_of(call.verb, call.template)
        if handler is not None:
            return handler(call)
        if call.verb == "GET":
            return example(method)
        raise PveError(
            501, f"Method '{call.verb} {call.template}' is not simulated by the embedded Proxmox"
        )


def _split_prefix(location: str) -> tuple[str, str]:
    """Return the format and the path below it: ``/api2/json/version`` -> json, /version."""
    if location.startswith("/api2/json/"):
        return "json", location[10:]
    if not location.startswith("/api2/"):
        return "", location
    form, slash, rest = location.removeprefix("/api2/").partition("/")
    return form, slash + rest


def _no_formatter(location: str, form: str) -> Answer:
    """Return what a node says of a format, or of a file, that it does not have (golden 02)."""
    if location != "/api2" and not location.startswith("/api2/"):
        return wire.bare(500, f"no such file '{location}'\n", text=True)
    rest = location.removeprefix("/api2").strip("/").partition("/")[2]
    return wire.bare(501, f"no formatter for uri /{rest}, {form}", text=True)
