"""Damage: a config cut at any byte, pages of the database overwritten, parts that are gone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from src_app.db import file as database
from src_app.workspace import ProjectWorkspace
from src_app.workspace.errors import WorkspaceCorrupt
from src_app.workspace.parts import CONFIG, DATABASE, FOLDER
from tests.workspace.conftest import SECRET_TEXT, nodes
from tests.workspace.dying import DyingFiles

PAGE = 4096


def test_config_cut_at_any_byte_is_recovered_and_told(root: Path) -> None:
    path = root / FOLDER / CONFIG
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with ProjectWorkspace.load(root, files=DyingFiles()) as workspace:
            assert workspace.config.host == "pve.example.org", length
            is_whole = length == len(whole) - 1  # only the last line feed is missing
            assert bool(workspace.notices) is not is_whole, length
            if not is_whole:
                assert "recovered from the last good copy" in workspace.notices[0]
        assert path.read_bytes() == (whole[:length] if is_whole else whole)
        for aside in (root / FOLDER).glob(f"{CONFIG}.damaged-*"):
            aside.unlink()


@pytest.mark.parametrize("junk", ["zeros", "random"])
def test_any_damaged_page_of_the_database_loses_nothing(root: Path, junk: str) -> None:
    path = root / FOLDER / DATABASE
    whole = path.read_bytes()
    rng = random.Random(7)
    told = 0
    pages = range(0, len(whole) // PAGE, 4 if junk == "zeros" else 1)
    for page in pages:
        filling = bytes(PAGE) if junk == "zeros" else rng.randbytes(PAGE)
        path.write_bytes(whole[: page * PAGE] + filling + whole[(page + 1) * PAGE :])
        with ProjectWorkspace.load(root, files=DyingFiles()) as workspace:
            assert nodes(workspace) == ["pve"], page
            assert workspace.store.health().ok, page
            told += len(workspace.notices)
        assert database.damage(path) is None
        for aside in (root / FOLDER).glob(f"{DATABASE}.damaged-*"):
            aside.unlink()
    assert told >= len(pages) - 2  # a page that is free may be anything


@pytest.mark.parametrize("size", [0, 1, 16, 100, PAGE, 3 * PAGE + 17])
def test_database_cut_short_is_recovered(root: Path, size: int) -> None:
    path = root / FOLDER / DATABASE
    path.write_bytes(path.read_bytes()[:size])
    with ProjectWorkspace.load(root) as workspace:
        assert nodes(workspace) == ["pve"]
        assert "the damaged one is state.db.damaged-1" in workspace.notices[0]
        assert workspace.secret() == SECRET_TEXT


def test_damaged_part_comes_from_a_backup_where_no_good_copy_is_left(root: Path) -> None:
    shutil.rmtree(root / FOLDER / "good")
    (root / FOLDER / CONFIG).write_bytes(b"")
    (root / FOLDER / DATABASE).unlink()
    with ProjectWorkspace.load(root) as workspace:
        assert nodes(workspace) == ["pve"]
        assert len(workspace.notices) == 2
        assert workspace.backups()[-1].name in workspace.notices[0]


def test_database_begins_empty_where_nothing_good_is_left(root: Path) -> None:
    shutil.rmtree(root / FOLDER / "good")
    shutil.rmtree(root / FOLDER / "backups")
    (root / FOLDER / DATABASE).write_bytes(b"no database")
    with ProjectWorkspace.load(root) as workspace:
        assert nodes(workspace) == []
        assert "Use /sync to fill it" in workspace.notices[0]


def test_config_without_any_good_copy_is_an_error_that_says_what_to_do(root: Path) -> None:
    shutil.rmtree(root / FOLDER / "good")
    shutil.rmtree(root / FOLDER / "backups")
    (root / FOLDER / CONFIG).write_bytes(b"name: home")
    with pytest.raises(WorkspaceCorrupt, match="use /init"):
        ProjectWorkspace.load(root)
    assert (root / FOLDER / CONFIG).read_bytes() == b"name: home"
