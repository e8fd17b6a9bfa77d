"""Every command of the registry: it completes, succeeds, refuses what is wrong, bears faults."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.console.commands import make_registry
from src_app.console.completion import Completions
from src_app.console.registry import Argument, Command, Context, Flag, Outcome
from src_app.console.session import ConsoleSession
from src_app.console.ui import Ui
from src_app.db.store import Store
from src_app.observability.observer import H, Named, Observer
from src_app.workspace.parts import DATABASE, FOLDER
from tests.console.conftest import Sit, Sitting
from tests.console.ending import counted, nothing
from tests.console.faults import unplugged

REGISTRY = make_registry()
COMMANDS = {command.name: command for command in REGISTRY}


@dataclass(frozen=True)
class Case:
    """How a command is written well and badly, and what it does without a Proxmox."""

    good: str
    says: str
    bad: str
    complains: str
    code: int = 0  # without a Proxmox: 0 for commands that need none
    without: str = ""  # what is said without a Proxmox, where it is asked


CASES = {
    "/help": Case("/help sync", "Usage: /sync", "/help /frob", "Unknown slash command: /frob"),
    "/init": Case(
        "/init --name other", "was made in", "/init --port 99999", "must be a whole number", code=1
    ),
    "/status": Case("/status", "root@pam", "/status now", "one word too many"),
    "/history": Case("/history", "Command", "/history -n 0", "must be a whole number"),
    "/test": Case("/test", "answers; nodes: pve (online)", "/test --fast", "no flag", code=1),
    "/exit": Case("/exit", "👋 Session ended", "/exit now", "one word too many"),
    "/sync": Case("/sync", "✅ Synced", "/sync --filter colour=red", "is no filter", code=1),
    "/plan": Case("/plan", "start vm 300", "/plan --all", 'there is no flag "--all"', code=1),
    "/apply": Case("/apply --yes", "✅ 1 done", "/apply it", "one word too many", code=1),
    "/destroy": Case(
        "/destroy --yes", "delete vm 300", "/destroy -t nobody", "not a guest of this", code=1
    ),
    "list": Case("list all", "db", "list everything", "must be one of vms"),
    "describe": Case("describe vm db", "Config:", "describe vm", "guest is missing"),
    "create": Case(
        "create container --name web --now", "create container", "create vm --name 'a b'",
        "must be a DNS name", code=1,
    ),
    "delete": Case(
        "delete vm db --now --yes", "delete vm 300", "delete jail db", "must be one of vm",
        code=1,
    ),
    "start": Case("start vm db", "start vm 300", "start vm", "give a guest, or --all", code=1),
    "stop": Case("stop vm other", "stop vm 301", "stop vm db --all", "give a guest, or", code=1),
    "/config": Case("/config node pve", "node", "/config port 0", "must be a port"),
    "/validate": Case("/validate", "is sound", "/validate --deep", "no flag"),
    "/workspace": Case("/workspace backup", "✅ Backup", "/workspace burn", "must be one of list"),
    "/export": Case("/export", "written, 0 removed", "/export nix", "must be one of terraform"),
    "/debug": Case("/debug on", "debug: True", "/debug clear all-of-it", "cannot be cleared"),
    "/health": Case(
        "/health", "✅ proxmox", "/health --quickly", "there is no flag", code=1,
        without="❌ proxmox: no Proxmox answers",
    ),
    "/logs": Case("/logs", "/sync: ok", "/logs --level loud", "must be one of debug"),
    "/report-issue": Case(
        "/report-issue it hangs --yes", "Written to", "/report-issue", "description is missing",
        without="Written to",  # a bundle is made all the more where Proxmox is gone
    ),
}  # fmt: skip


@pytest.fixture
def filled(sitting: Sitting, cluster: EmbeddedProxmox, root: Path) -> Sitting:
    """A session in a workspace with two VMs, one of which is wanted to run."""
    cluster.plant(vmid=300, type="qemu", node="pve", name="db")
    cluster.plant(vmid=301, type="qemu", node="pve", name="other", status="running")
    sitting.run("/sync")
    store = sitting.session.services.store
    values = {"vmid": 300, "kind": "vm", "name": "db", "node": "pve", "spec": {"started": True}}
    store.run(lambda db: db.wanted.create(values).vmid)
    return sitting


def test_every_command_has_a_case() -> None:
    assert set(CASES) == set(COMMANDS)


@pytest.mark.parametrize("name", CASES)
def test_command_succeeds(filled: Sitting, sit: Sit, tmp_path: Path, name: str) -> None:
    sitting = sit(tmp_path / "elsewhere") if name == "/init" else filled
    printed = sitting.run(CASES[name].good)
    assert CASES[name].says in printed


@pytest.mark.parametrize("name", CASES)
def test_command_refuses_what_is_written_wrongly(filled: Sitting, name: str) -> None:
    before = len(filled.session.history.entries)
    printed = filled.run(CASES[name].bad, expect=2)
    assert CASES[name].complains in printed
    assert filled.session.history.entries[before].exit_code == 2


@pytest.mark.parametrize("name", CASES)
def test_command_bears_that_proxmox_is_gone(
    filled: Sitting, sit: Sit, tmp_path: Path, name: str
) -> None:
    sitting = sit(tmp_path / "elsewhere") if name == "/init" else filled
    before = _guests(filled.session.services.store)
    with counted(unplugged, nothing) as asked:
        printed = sitting.run(CASES[name].good, expect=CASES[name].code)
    case = CASES[name]
    assert bool(asked) == bool(case.code or case.without)
    if case.without:
        assert case.without in printed
    elif case.code:
        assert "no Proxmox answers" in printed or "got no answer" in printed
    assert _guests(filled.session.services.store) == before if name != "/exit" else True
    if name == "/init":
        assert not (tmp_path / "elsewhere" / ".proxmox").exists()


def _guests(store: Store) -> list[tuple[int, str]]:
    return store.read(lambda db: [(row.id, row.status) for row in db.vms.find_many().data])


@pytest.mark.parametrize("name", CASES)
def test_command_speaks_json(filled: Sitting, sit: Sit, tmp_path: Path, name: str) -> None:
    sitting = sit(tmp_path / "elsewhere") if name == "/init" else filled
    told = sitting.json(CASES[name].good)
    assert (told["command"], told["ok"], told["exit_code"]) == (name, True, 0)
    bad = filled.json(CASES[name].bad, expect=2)
    assert bad["ok"] is False
    assert bad["error"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_names_all_it_takes(filled: Sitting, name: str) -> None:
    printed = filled.run(f"{name} --help")
    command = COMMANDS[name]
    assert command.usage.split(" [")[0] in printed
    for flag in command.all_flags:
        assert flag.name in printed


# --- completion -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def completions(tmp_path_factory: pytest.TempPathFactory) -> Completions:
    """Completion without any workspace: what the registry alone gives."""
    ui = Ui(Console(file=io.StringIO()), Console(file=io.StringIO()))
    folder = tmp_path_factory.mktemp("nothing")
    return Completions(ConsoleSession(REGISTRY, ui, cwd=folder, environ={}))


def offered(completions: Completions, line: str) -> list[str]:
    """Return what Tab offers behind a line."""
    return [candidate.text for candidate in completions.complete(line)[0]]


@pytest.mark.parametrize("name", REGISTRY.words)
def test_each_name_completes_from_each_beginning(completions: Completions, name: str) -> None:
    for length in range(1, len(name) + 1):
        assert name in offered(completions, name[:length])


FLAGS = [(c, f) for c in REGISTRY for f in c.all_flags]


@pytest.mark.parametrize(("command", "flag"), FLAGS, ids=[f"{c.name} {f.name}" for c, f in FLAGS])
def test_each_flag_and_its_values_complete(
    completions: Completions, command: Command, flag: object
) -> None:
    name, choices = getattr(flag, "name"), getattr(flag, "choices")  # noqa: B009
    for length in range(1, len(name) + 1):
        assert name in offered(completions, f"{command.name} {name[:length]}")
    for choice in choices:
        for length in range(len(choice) + 1):
            assert choice in offered(completions, f"{command.name} {name} {choice[:length]}")
            text = f"{command.name} {name}={choice[:length]}"
            assert f"{name}={choice}" in offered(completions, text)


ARGUMENTS = [(c, n) for c in REGISTRY for n, a in enumerate(c.arguments) if a.choices]


@pytest.mark.parametrize(
    ("command", "number"), ARGUMENTS, ids=[f"{c.name} {n}" for c, n in ARGUMENTS]
)
def test_each_choice_of_an_argument_completes(
    completions: Completions, command: Command, number: int
) -> None:
    before = " ".join([command.name, *("x" for _ in range(number))])
    for choice in command.arguments[number].choices:
        for length in range(len(choice) + 1):
            assert choice in offered(completions, f"{before} {choice[:length]}")


COMPLETED = {  # for each list: words before it, and something that it has in ``filled``
    "commands": ([], "/sync"),
    "filters": ([], "vms"),
    "measured": (["clear"], "metrics"),
    "values": (["template"], "homelab"),
    "backups": (["recover"], ""),
    "guests": (["vm"], "db"),
    "nodes": ([], "pve"),
    "storages": ([], "local-lvm"),
    "wanted": ([], "db"),
}


def test_each_value_that_the_workspace_knows_completes(filled: Sitting) -> None:
    filled.run("/workspace backup")
    assert filled.session.workspace is not None
    backup = filled.session.workspace.backups()[0].name
    completions = Completions(filled.session)
    seen: set[str] = set()
    for command in REGISTRY:
        takes: tuple[Argument | Flag, ...] = (*command.arguments, *command.all_flags)
        for what in takes:
            if not what.completer:
                continue
            before, value = COMPLETED[what.completer]
            words = [*before, what.name] if isinstance(what, Flag) else before
            line = " ".join([command.name, *words, (value or backup)[:1]])
            assert (value or backup) in offered(completions, line), line
            seen.add(what.completer)
    assert seen == set(COMPLETED)


# --- dry runs ---------------------------------------------------------------------------------

DRY = [command.name for command in REGISTRY if command.flag("--dry-run") is not None]


@pytest.mark.parametrize("name", DRY)
def test_dry_run_changes_no_byte_of_the_database_and_no_guest(
    filled: Sitting, sit: Sit, root: Path, cluster: EmbeddedProxmox, name: str
) -> None:
    filled.session.close()  # everything goes into one file
    path = root / FOLDER / DATABASE
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    guests = [(guest.vmid, guest.status) for guest in cluster.guests()]
    sitting = sit(root)
    with counted(nothing, nothing) as asked:
        sitting.run(f"{CASES[name].good} --dry-run")
    sitting.session.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [(guest.vmid, guest.status) for guest in cluster.guests()] == guests
    assert {call.partition(" ")[0] for call in asked[1:]} <= {"GET"}  # behind the login


# --- wrapping ---------------------------------------------------------------------------------


def test_every_handler_goes_through_the_wrap(sitting: Sitting) -> None:
    ran: list[str] = []

    class Recorder(Observer):
        def wrap(self, command: Named, handler: H) -> H:
            def recorded(_: Context) -> Outcome:
                ran.append(command.name)
                return Outcome()

            return cast(H, recorded)

    registry = make_registry(Recorder())
    for command in registry:
        registry.run(Context(command, {}, sitting.session))
    assert ran == [command.name for command in registry]


def test_unused_connection_is_never_opened(sit: Sit, root: Path) -> None:
    asked: list[object] = []
    sitting = sit(root, connect=asked.append)
    sitting.run("/status")
    sitting.run("list all")
    assert asked == []
