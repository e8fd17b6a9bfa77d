"""Concurrent use: one changes, the others wait or are told who does."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from src_app.workspace import ProjectWorkspace
from src_app.workspace.errors import NoWorkspace, WorkspaceLocked
from src_app.workspace.parts import CONFIG, FOLDER
from tests.workspace.conftest import nodes

METHODS = multiprocessing.get_context("forkserver")
METHODS.set_forkserver_preload(["tests.workspace.dying", "src_app.workspace.project"])


def _hold(root: Path, pipe: Any, *, changing: bool) -> None:
    with ProjectWorkspace.load(root) as workspace:
        if changing:
            with workspace.lock().alone():
                pipe.send(os.getpid())
                pipe.recv()
        else:
            pipe.send(os.getpid())
            pipe.recv()


@contextmanager
def held(root: Path, *, changing: bool) -> Iterator[int]:
    """Another process has the workspace open, or changes it, during the block."""
    ours, theirs = METHODS.Pipe()
    process = METHODS.Process(target=_hold, args=(root, theirs), kwargs={"changing": changing})
    process.start()
    yield ours.recv()
    ours.send("enough")
    process.join()
    assert process.exitcode == 0
    process.close()
    ours.close()
    theirs.close()


def test_change_during_anothers_names_its_process(root: Path) -> None:
    with held(root, changing=True) as pid, ProjectWorkspace.load(root, wait_s=0) as workspace:
        assert nodes(workspace) == ["pve"]
        with pytest.raises(WorkspaceLocked, match=f"in use by process {pid}"):
            workspace.save({"port": 9000})


def test_workspace_that_another_has_open_is_neither_deleted_nor_recovered(root: Path) -> None:
    with held(root, changing=False), ProjectWorkspace.load(root, wait_s=0) as workspace:
        backup = workspace.back_up()
        with pytest.raises(WorkspaceLocked):
            workspace.delete()
        with pytest.raises(WorkspaceLocked):
            workspace.recover(backup.name)
        assert nodes(workspace) == ["pve"]


def test_damaged_workspace_is_not_repaired_under_another(root: Path) -> None:
    with held(root, changing=False):
        (root / FOLDER / CONFIG).write_bytes(b"")
        with pytest.raises(WorkspaceLocked, match="it must be repaired"):
            ProjectWorkspace.load(root, wait_s=0)
    with ProjectWorkspace.load(root, wait_s=0) as workspace:
        assert workspace.notices


def test_lock_of_a_deleted_workspace_is_told(root: Path) -> None:
    with ProjectWorkspace.load(root) as workspace:
        (root / FOLDER).rename(root / "elsewhere")
        with pytest.raises(NoWorkspace), workspace.lock().alone():
            raise AssertionError("the lock of nothing was given")


def _create(root: Path, pipe: Any) -> None:
    from src_app.workspace.config import WorkspaceConfig
    from src_app.workspace.errors import WorkspaceExists

    try:
        ProjectWorkspace.create(root, WorkspaceConfig.of({"name": "a", "host": "b"})).close()
        pipe.send("made")
    except WorkspaceExists:
        pipe.send("there")


def test_of_two_that_make_a_workspace_one_does(tmp_path: Path) -> None:
    ours, theirs = METHODS.Pipe()
    made = [METHODS.Process(target=_create, args=(tmp_path / "new", theirs)) for _ in range(2)]
    for process in made:
        process.start()
    assert sorted(ours.recv() for _ in made) == ["made", "there"]
    for process in made:
        process.join()
        process.close()
    ours.close()
    theirs.close()
