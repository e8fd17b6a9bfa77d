"""What the reference pages say: read from the code where it says it, else written here."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast

import pytest

from pytest_proxmox import plugin
from pytest_proxmox.cli import main as cli
from pytest_proxmox.faults import FaultRule
from pytest_proxmox.gateway import control as gateway
from pytest_proxmox.simulator.control import Control
from pytest_proxmox.simulator.simulator import Simulator
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.simulator.world import World

_ROOM: Final = "pytest_proxmox.fixtures"
ROOMS: Final = (
    ("Proxmox", (f"{_ROOM}.proxmox",)),
    ("Database (extra `db`)", (f"{_ROOM}.database",)),
    ("Pages and the app (extra `e2e`)", (f"{_ROOM}.browser", f"{_ROOM}.address")),
    ("Time", (f"{_ROOM}.virtual_time",)),
)
PAGES: Final = f"{_ROOM}.pages"
FIXTURES: Final = """A fixture of the same name in your conftest replaces ours.
`pytest --fixtures` prints the same. Nothing here is autouse. {doc}`browser` and {doc}`database`
tell more of their rooms.
"""
MARKERS: Final = """All are registered, so `--strict-markers` knows them. Those without arguments,
except `real_proxmox` and `integration`, only name what a test is about: `pytest -m backup`.
"""
OPTIONS: Final = """The command line wins over the environment, the environment over `.env.test`,
that over the ini file, and the ini file over the default. The header of a run shows each value
that somebody set with its source; `-v` shows all. The variables stand in {doc}`environment`.
"""
ENVIRONMENT: Final = """A variable that is empty counts as not set. The same names may stand in the
file `.env.test` in the root folder of the tests; a real variable wins. Secrets come from here
only: they have no option and no ini key.
"""
OTHER_VARIABLES: Final = {
    "E2E_ADMIN_USERNAME": "the account of `admin_authenticated_page`",
    "E2E_ADMIN_PASSWORD": "its password",
    "XDG_STATE_HOME": "where the ledger of leases lies (default: `~/.local/state`)",
}
CLI: Final = """Exit codes: 0 for done, 1 for findings or failures, 2 for a wrong argument or
setting, 130 for Ctrl-C. `pytest-proxmox COMMAND --help` prints the same.
The commands that talk to a Proxmox take it from the {doc}`environment <environment>` and
`.env.test`.
"""
WORLD: Final = """A JSON file that says what the embedded Proxmox holds when it starts: give it to
`--proxmox-world`, the ini key `proxmox_world` or `pytest-proxmox serve --world`. `single` and
`cluster` are worlds that come with the plugin. A mistake is told with its path in the file.
"""
WORLD_KEYS: Final = {
    "$schema": "for editors: where the output of `pytest-proxmox schema world` is",
    "version": "what `GET /version` says",
    "cluster": "the cluster's name; `null`: a single node",
    "nodes": "name -> node; at least one",
    "storages": "name -> `type`, `content`, `size`, `shared`, and the parameters of that type",
    "volumes": "list of `volid`, `size`, `ostype`, …: templates, images, disks",
    "users": "`user@realm` -> `password`, …",
    "tokens": "`user@realm!name` -> `secret`, `privsep`, …",
    "guests": "list of `vmid`, `type` (`lxc`, `qemu`), `node`, `status`, `config`, `pool`, `files`",
    "workloads": "template or image -> what a container made from it serves",
    "downloads": "URL or OCI reference -> the volume that it gives",
    "pools": "name -> `comment`",
    "roles": "name -> list of privileges",
    "groups": "name -> group",
    "acls": "list of `path`, `ugid`, `roleid`, `type`, `propagate`",
    "ha": "resource -> its state",
    "faults": "list of {doc}`fault rules <faults>` that hold from the start",
}
NODE_KEYS: Final = {
    "maxcpu": "processors (default: 4)",
    "maxmem": "bytes of memory (default: 16 GiB)",
    "bridges": "list of bridges (default: `vmbr0`)",
    "address": "the address it reports",
    "online": "`false`: the cluster knows it, and it does not answer",
    "kvm": "whether it can run virtual machines; `null`: as this machine",
}
WORKLOAD_KEYS: Final = {
    "serves": "`web`, `static`, `key-value`, `websocket` or `failing` (default: `web`)",
    "name": "the name that it shows",
    "version": "the version that it shows",
    "port": "where it listens, above 1024 (default: 8080)",
    "health": "the path that tells that it is up (default: `/health`)",
}
WORLD_PRESET: Final = "## The preset `single`\n\nKeys that are empty in it are left out.\n"
CONTROL: Final = """What the fixtures have, for suites in any language: JSON over HTTPS, at the
`control_url` of the ready file, with the header `Authorization: Bearer CONTROL_TOKEN`, where the
token is the ready file's `control_token`. Errors are `{"error": "…"}` with status 400, 401 or 404.
{doc}`../how-to/other-languages` shows a suite.
"""
SIMULATOR_CALLS: Final = {
    "POST /reset": "all as the world says, and the calls forgotten",
    "POST /snapshot": "gives `id`, a snapshot of everything, the time included",
    "POST /restore": 'takes `{"id": …}`: all as it was then; the list of calls goes on',
    "GET /calls": "the requests that were answered, oldest first, without secrets",
    "GET /faults": "the rules in force, and how often each fired",
    "POST /faults": "takes a {doc}`rule <faults>`, gives its `id`",
    "DELETE /faults": 'ends all rules, or the one of `{"id": …}`',
    "POST /clock": 'takes `{"advance_s": 5}`, gives `now`',
    "GET /state": "everything, as one object",
    "PUT /state": "takes what `GET /state` gave",
}
GATEWAY_CALLS: Final = {
    "GET /calls": "what went through, without secrets",
    "GET /refusals": "the calls that were refused, and why",
    "GET /faults": "the rules in force",
    "POST /faults": "takes a {doc}`rule <faults>` with the effect of a request, gives its `id`",
    "DELETE /faults": "ends all rules",
    "POST /release": "removes the guests that the app made; gives `leftovers`",
}
MESSAGES: Final = """Every message of the plugin's own errors, with `…` for each value. Look for the
part of yours that no value can be in; the {doc}`runbook <../guides/troubleshooting-runbook>` has
cause and cure. Where a message was not written by the plugin (Proxmox's own text, a database's),
it follows one of these.
"""
RUNBOOK: Final = "[Cause and cure](../guides/troubleshooting-runbook.md#{anchor})\n"
LEFT_BEHIND: Final = """## What a test leaves behind

The test fails, and the message shows the line that made it:
{doc}`../explanation/async-hygiene`.
"""
EXTRAS: Final = ("allure", "db", "e2e", "flaky", "hypothesis")
COMPATIBILITY: Final = """The oldest versions are those that the package's metadata asks for. `tox`
runs the tests with the oldest (`lower-bounds`), and with the newest on each Python that the machine
has. No upper bound is set: what a newer version breaks is a bug of ours.
"""
PROXMOX_VERSIONS: Final = """## Proxmox VE

| version | embedded | as a target of tests |
| --- | --- | --- |
| 9 | yes: 9.2, compared with recordings of a node | yes |
| 8 | no | not tried; the sandbox needs pools inside of pools, which the first of them lack |
| 7 and older | no | no |

An app for Proxmox VE 8 can be tested on the embedded 9 as far as the two have the same methods.
Before you rely on an 8 node as a target, run `pytest-proxmox doctor` and a few tests on it.

## Systems

Linux is what the tests run on. macOS has what the plugin uses. On Windows there is no reaper: a
killed run is cleaned up by the next one, and `db_url = postgresql` needs a server that runs.
{doc}`../explanation/limits` has the rest, {doc}`../explanation/versioning` what a new version of
the plugin may change.
"""
FAULTS: Final = """Rules say what goes wrong, where, and how often. Give them to
`proxmox_faults.add(…)` or its short forms (`fail`, `drop`, `hang`, `delay`, `slow_task`,
`end_task`, `warn_task`, `kill_worker`), to the world file, or to the
{doc}`control plane <control-plane>`.
{doc}`../how-to/faults` shows them at work.

On a real Proxmox the gateway makes `error`, `drop`, `hang`, `latency` and `expired-ticket`
happen; the others happen inside a Proxmox, and the embedded one has them.
"""
EFFECTS: Final = {
    "error": "answers with an error: a name of the table below, or `status` and `text`",
    "drop": "cuts the connection; `phase` says whether the request had its effect",
    "hang": "never answers",
    "latency": "answers late, by `seconds` and up to `jitter` more",
    "expired-ticket": "treats the login as expired: 401",
    "slow-task": "the task takes `seconds`",
    "task-warnings": "the task ends with `WARNINGS: 1`, its work done",
    "task-error": "the task ends with `text`, its work undone",
    "worker-killed": "the task ends with `unexpected status`; lock and volume stay",
    "node-offline": "`node` does not answer",
    "no-quorum": "the cluster takes no writes",
    "storage-full": "`storage` has no space",
    "lock-held": "the guest `vmid` is locked with `lock`",
    "disk-left-behind": "a destroy leaves the guest's disk",
}
RULE_KEYS: Final = {
    "effect": "what happens; must be given",
    "method": "only requests with this HTTP method",
    "path": "only this path below `/api2/json`: `*` is one segment, `**` any number",
    "vmid": "only this guest",
    "task": "only tasks of this type, e.g. `vzcreate`; `*` is any text",
    "nth": "only the n-th match, counted from 1",
    "times": "at most so often",
    "probability": "0 to 1, with `seed`",
    "seed": "the same seed draws the same",
    "phase": "`before` the request had its effect (default), or `after`",
    "error": "a name of the table below",
    "status": "the HTTP status of an error without a name (default: 500)",
    "text": "the text of an error or a task's end",
    "seconds": "a latency or a task's length",
    "jitter": "what is added to a latency, at random",
    "node": "the node of a condition",
    "storage": "the storage of a condition",
    "lock": "the lock that `lock-held` shows (default: `backup`)",
    "id": "a name to end the rule by (default: given)",
}


class Fixture(NamedTuple):
    """A fixture as its source declares it."""

    name: str
    scope: str
    text: str


class Command(NamedTuple):
    """A command of ``pytest-proxmox``: what it does, and its arguments."""

    name: str
    text: str
    flags: list[tuple[str, str]]


def fixtures_in(module: str) -> Iterator[Fixture]:
    """Yield the fixtures that a module declares for users."""
    spec = find_spec(module)
    source = spec.origin if spec is not None else None
    if source is None:
        raise ValueError(f"there is no module {module}")
    for node in ast.parse(Path(source).read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        for how in node.decorator_list:
            call = how.func if isinstance(how, ast.Call) else how
            if ast.unparse(call) != "pytest.fixture":
                continue
            said = {k.arg: k.value for k in how.keywords} if isinstance(how, ast.Call) else {}
            scope = said.get("scope", ast.Constant("function"))
            if "name" not in said:
                yield Fixture(node.name, ast.literal_eval(scope), ast.get_docstring(node) or "")


class _Declarations:
    """Stands where pytest's parser or argparse's does, and notes what it is told."""

    def __init__(self) -> None:
        self.flags: list[tuple[str, str]] = []
        self.keys: list[tuple[str, str]] = []
        self.description = ""

    def getgroup(self, *_: object) -> Self:
        return self

    add_mutually_exclusive_group = add_argument_group = getgroup

    def addoption(self, *names: str, **said: Any) -> None:
        self.add_argument(*names, **said)

    def addini(self, name: str, help: str, *_: object, **__: object) -> None:
        self.keys.append((name, help))

    def add_argument(self, *names: str, **said: Any) -> None:
        shown = said.get("metavar") or names[-1].lstrip("-").replace("-", "_").upper()
        takes = names[0].startswith("-") and not str(said.get("action", "")).startswith("store_")
        optional = f"[{shown}]" if said.get("nargs") in ("?", "*") else shown
        name = ", ".join(names) if names[0].startswith("-") else optional
        text = str(said.get("help", "")).replace("%(default)s", str(said.get("default")))
        self.flags.append((f"{name} {optional}" if takes else name, text))


def declared() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the flags and the ini keys that the plugin declares, each with its help."""
    found = _Declarations()
    plugin.pytest_addoption(cast(pytest.Parser, found))
    return found.flags, found.keys


def commands() -> Iterator[Command]:
    """Yield the commands, in the order of the help."""
    for name, text in cli.COMMANDS.items():
        found = _Declarations()
        import_module(f"pytest_proxmox.cli.{name}").add_arguments(found)
        yield Command(name, found.description or f"{text[0].upper()}{text[1:]}.", found.flags)


def simulator_calls() -> set[str]:
    """Return the calls of the simulator's control plane, as it names them itself."""
    control = Control(Simulator(World.preset("single")), "token")
    request = Request("GET", "/_control/none", {"authorization": "Bearer token"}, b"")
    told = control.handle(request).body.decode()
    return set(re.findall(r"[A-Z]+ /[a-z]+", told.partition("there are:")[2]))


def gateway_calls() -> set[str]:
    """Return the calls that the gateway's control plane compares with."""
    source = inspect.getsource(gateway.Control)
    return set(re.findall(r'== "([A-Z]+ /[a-z]+)"', source))


def rule_keys() -> set[str]:
    """Return the keys of a fault rule."""
    return {one.name for one in fields(FaultRule)}
