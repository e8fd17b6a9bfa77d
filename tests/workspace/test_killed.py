"""Killed at every file operation, a workspace is as before or as after, and whole."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from src_app.db import file as database
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from src_app.workspace.parts import DATABASE, FOLDER
from tests.moments import chosen
from tests.workspace.conftest import CONFIG_VALUES, SECRET_TEXT, add_node, nodes
from tests.workspace.dying import NEVER, Died, DyingFiles, kill_process

METHODS = multiprocessing.get_context("forkserver")
METHODS.set_forkserver_preload(["tests.workspace.dying", "src_app.workspace.project"])
State = tuple[int, str, tuple[str, ...]]
BEFORE: State = (8006, SECRET_TEXT, ("pve",))
Act = Callable[[Path, DyingFiles], None]


def create(root: Path, files: DyingFiles) -> None:
    config = WorkspaceConfig.of(CONFIG_VALUES)
    ProjectWorkspace.create(root, config, secret=SECRET_TEXT, files=files).close()


def load(root: Path, files: DyingFiles) -> None:
    ProjectWorkspace.load(root, files=files).close()


def save(root: Path, files: DyingFiles) -> None:
    with ProjectWorkspace.load(root, files=files) as workspace:
        workspace.save({"port": 9000}, secret="another")


def delete(root: Path, files: DyingFiles) -> None:
    with ProjectWorkspace.load(root, files=files) as workspace:
        workspace.delete()


def back_up(root: Path, files: DyingFiles) -> None:
    with ProjectWorkspace.load(root, files=files) as workspace:
        workspace.back_up()
        workspace.keep_good()


def recover(root: Path, files: DyingFiles) -> None:
    with ProjectWorkspace.load(root, files=files) as workspace:
        workspace.recover(workspace.backups()[0].name)


@dataclass(frozen=True)
class Case:
    """An operation, how the workspace is prepared for it, and what it may be afterwards."""

    act: Act
    states: tuple[State | None, ...]
    version: int = 3
    change: bool = False


CASES = {
    "create": Case(create, (None, (8006, SECRET_TEXT, ())), version=0),
    "load": Case(load, (BEFORE,)),
    "save": Case(save, (BEFORE, (9000, "another", ("pve",)))),
    "delete": Case(delete, (BEFORE, None)),
    "back-up": Case(back_up, (BEFORE,)),
    "recover": Case(recover, ((9001, SECRET_TEXT, ("pve", "second")), BEFORE), change=True),
    "migrate-1": Case(load, (BEFORE,), version=1),
    "migrate-2": Case(load, (BEFORE,), version=2),
}


@pytest.fixture
def prepare(template: Path, older: Callable[[int], Path], tmp_path: Path) -> Callable[[Case], Path]:
    """Gives the workspace that a case begins with, each time afresh."""

    def prepared(case: Case) -> Path:
        root = tmp_path / "home"
        shutil.rmtree(root, ignore_errors=True)
        if case.version:
            shutil.copytree(template if case.version == 3 else older(case.version), root)
        if case.change:
            with ProjectWorkspace.load(root) as workspace:
                workspace.save({"port": 9001})
            add_node(root / FOLDER / DATABASE, "second")
        return root

    return prepared


def state(root: Path) -> State | None:
    """Return what a workspace holds, None where there is none; it must be whole."""
    if ProjectWorkspace.detect(root) != root:
        return None
    with ProjectWorkspace.load(root) as workspace:
        found = (workspace.config.port, workspace.secret(), tuple(nodes(workspace)))
        for backup in workspace.backups():
            assert database.damage(backup.path / DATABASE) is None
    left = [p.name for p in root.iterdir() if p.name.startswith(f"{FOLDER}.")]
    assert not left, left
    assert database.damage(root / FOLDER / DATABASE) is None
    return found


@pytest.mark.parametrize("name", CASES)
def test_death_at_any_file_operation_leaves_before_or_after(
    prepare: Callable[[Case], Path], name: str
) -> None:
    case = CASES[name]
    counting = DyingFiles()
    case.act(prepare(case), counting)
    assert counting.seen
    seen = set()
    for moment in chosen(counting.seen, few=6, first=len(name)):
        root = prepare(case)
        with pytest.raises(Died):
            case.act(root, DyingFiles(moment))
        found = state(root)
        assert found in case.states, (counting.names[moment], found)
        seen.add(found)
        if found is None and moment % 5 == 0:
            create(root, DyingFiles())  # what was left is in nobody's way
            assert state(root) is not None
    print(f"{name}: {counting.seen} moments, {len(seen)} states")


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Yield the list of the statements that go to any database."""
    seen: list[str] = []

    def remember(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", remember)


def _child(act: Act, root: Path, last: int, statement: int) -> None:
    counted = iter(range(1_000_000))

    @event.listens_for(Engine, "before_cursor_execute")
    def die(*_: object) -> None:
        if next(counted) == statement:
            kill_process()

    act(root, DyingFiles(last, kill_process))


def killed(act: Act, root: Path, last: int, statement: int) -> bool:
    """Whether a process that does this got SIGKILL at an operation, or before a statement."""
    process = METHODS.Process(target=_child, args=(act, root, last, statement))
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code in (0, -signal.SIGKILL), code
    return code != 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_sigkill_at_any_file_operation_leaves_before_or_after(
    prepare: Callable[[Case], Path], name: str
) -> None:
    case = CASES[name]
    counting = DyingFiles()
    case.act(prepare(case), counting)
    moments = chosen(counting.seen, few=1, first=counting.seen * 2 // 3)
    for moment in moments:
        root = prepare(case)
        assert killed(case.act, root, moment, NEVER), counting.names[moment]
        assert state(root) in case.states, counting.names[moment]
    print(f"{name}: killed at {len(moments)} of {counting.seen} moments")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["create", "migrate-1", "migrate-2"])
def test_sigkill_before_any_statement_of_a_migration_leaves_before_or_after(
    prepare: Callable[[Case], Path], name: str
) -> None:
    case = CASES[name]
    with counted_statements() as seen:
        case.act(prepare(case), DyingFiles())
    moments = chosen(len(seen), few=1, first=len(seen) * 2 // 3)
    for moment in moments:
        root = prepare(case)
        assert killed(case.act, root, NEVER, moment), seen[moment]
        assert state(root) in case.states, seen[moment]
    print(f"{name} by statement: killed at {len(moments)} of {len(seen)} moments")
