"""The life of a workspace: created, loaded, saved, migrated, backed up, recovered, deleted."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src_app.db import file as database
from src_app.domain.errors import InvalidInput
from src_app.workspace import ProjectWorkspace, WorkspaceConfig
from src_app.workspace.backups import KEPT
from src_app.workspace.config import TEMPLATES, VERSION, decode, encode, parse
from src_app.workspace.errors import (
    ConfigCorrupt,
    NoWorkspace,
    WorkspaceCorrupt,
    WorkspaceExists,
    WorkspaceTooNew,
)
from src_app.workspace.parts import CONFIG, DATABASE, FOLDER, SECRET
from tests.workspace.conftest import CONFIG_VALUES, OLD, SECRET_TEXT, add_node, nodes

CONFIG_OF_TEST = WorkspaceConfig.of(CONFIG_VALUES)


def test_created_workspace_has_config_database_and_folders(tmp_path: Path) -> None:
    with ProjectWorkspace.create(tmp_path / "new", CONFIG_OF_TEST, secret="x") as workspace:
        assert workspace.config.host == "pve.example.org"
        assert workspace.config.created
        assert workspace.secret() == "x"
        assert workspace.store.health().ok
        assert workspace.notices == ()
    assert {"terraform", "ansible", FOLDER} == {p.name for p in (tmp_path / "new").iterdir()}


def test_secret_is_sealed_and_private(root: Path) -> None:
    for path in (root / FOLDER).rglob("*"):
        if path.is_file():
            assert SECRET_TEXT.encode() not in path.read_bytes(), path
    assert stat.S_IMODE((root / FOLDER / SECRET).stat().st_mode) == 0o600
    with ProjectWorkspace.load(root) as workspace:
        assert SECRET_TEXT not in repr(workspace.config)


def test_workspace_is_found_from_a_folder_inside_it(root: Path) -> None:
    inside = root / "terraform" / "deep"
    inside.mkdir(parents=True)
    assert ProjectWorkspace.detect(inside) == root
    with ProjectWorkspace.load(inside) as workspace:
        assert workspace.root == root


def test_folder_without_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace, match="Make one with /init"):
        ProjectWorkspace.load(tmp_path)


def test_second_workspace_in_a_folder_is_refused(root: Path) -> None:
    with pytest.raises(WorkspaceExists):
        ProjectWorkspace.create(root, CONFIG_OF_TEST)


def test_saved_config_and_secret_are_loaded_again(root: Path) -> None:
    with ProjectWorkspace.load(root) as workspace:
        workspace.save({"port": 8007, "verify_ssl": False}, secret="another")
    with ProjectWorkspace.load(root) as workspace:
        assert (workspace.config.port, workspace.config.verify_ssl) == (8007, False)
        assert workspace.secret() == "another"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"port": 0}, 'port "0" must be a port, 1 to 65535'),
        ({"port": True}, "must be a port"),
        ({"host": "https://pve"}, "must be a host name or an IP address"),
        ({"user": "root"}, "must be a user with its realm, e.g. root@pam"),
        ({"node": "a b"}, "must be the name of a node"),
        ({"name": ""}, "must be letters"),
        ({"verify_ssl": "ca.pem"}, "absolute path"),
        ({"template": "huge"}, "must be one of basic"),
        ({"colour": "red"}, 'colour "red" is not a setting'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_setting_is_named_and_nothing_is_saved(
    root: Path, values: dict[str, Any], told: str
) -> None:
    before = (root / FOLDER / CONFIG).read_bytes()
    with ProjectWorkspace.load(root) as workspace, pytest.raises(InvalidInput) as caught:
        workspace.save(values)
    assert told in caught.value.message
    assert list(caught.value.fields) == list(values)
    assert (root / FOLDER / CONFIG).read_bytes() == before


def test_backup_brings_back_config_secret_and_database(root: Path) -> None:
    with ProjectWorkspace.load(root) as workspace:
        name = workspace.back_up().name
        workspace.save({"port": 9000}, secret="another")
        add_node(workspace.parts.path(DATABASE), "second")
        workspace.recover(name)
        assert workspace.config.port == 8006
        assert workspace.secret() == SECRET_TEXT
        assert nodes(workspace) == ["pve"]


def test_oldest_backups_are_removed(root: Path) -> None:
    with ProjectWorkspace.load(root) as workspace:
        made = [workspace.back_up().name for _ in range(KEPT + 2)]
        assert [backup.name for backup in workspace.backups()] == made[-KEPT:]


def test_damaged_backup_is_not_recovered(root: Path) -> None:
    with ProjectWorkspace.load(root) as workspace:
        backup = workspace.back_up()
        (backup.path / CONFIG).write_bytes(b"something else")
        with pytest.raises(WorkspaceCorrupt, match=r"damaged: config\.yml"):
            workspace.recover(backup.name)
        assert nodes(workspace) == ["pve"]


def test_backup_that_is_not_there_is_told_with_those_that_are(root: Path) -> None:
    workspace = ProjectWorkspace.load(root)
    with workspace, pytest.raises(WorkspaceCorrupt, match="There are: 2"):
        workspace.recover("yesterday")


def test_deleted_workspace_leaves_what_was_generated(root: Path) -> None:
    (root / "terraform").mkdir(exist_ok=True)
    (root / "terraform" / "main.tf").write_text("# mine")
    workspace = ProjectWorkspace.load(root)
    workspace.delete()
    assert workspace.is_closed
    assert ProjectWorkspace.detect(root) is None
    assert (root / "terraform" / "main.tf").read_text() == "# mine"


def test_workspaces_of_a_folder_are_listed(root: Path) -> None:
    assert ProjectWorkspace.list(root.parent) == (root,)
    assert ProjectWorkspace.list(root) == (root,)


@pytest.mark.parametrize("version", sorted(OLD))
def test_older_workspace_is_migrated_and_backed_up(
    older: Callable[[int], Path], tmp_path: Path, version: int
) -> None:
    root = tmp_path / "home"
    shutil.copytree(older(version), root)
    with ProjectWorkspace.load(root) as workspace:
        assert f"from version {version} to {VERSION}" in workspace.notices[0]
        assert workspace.config == CONFIG_OF_TEST.changed({"created": OLD[version]["created"]})
        assert workspace.secret() == SECRET_TEXT
        assert nodes(workspace) == ["pve"]
        [backup] = workspace.backups()
        assert decode((backup.path / CONFIG).read_bytes()) == OLD[version]
        assert database.revision(workspace.parts.path(DATABASE)) == database.head()
    assert SECRET_TEXT.encode() not in (root / FOLDER / CONFIG).read_bytes()
    with ProjectWorkspace.load(root) as again:
        assert again.notices == ()


def test_every_older_version_has_a_workspace_here() -> None:
    assert sorted(OLD) == list(range(1, VERSION))


def test_workspace_of_a_later_console_is_left_alone(root: Path) -> None:
    path = root / FOLDER / CONFIG
    data = path.read_bytes().replace(b"version: 3", b"version: 99")
    path.write_bytes(data)
    with pytest.raises(WorkspaceTooNew, match="Upgrade the console"):
        ProjectWorkspace.load(root)
    assert path.read_bytes() == data


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
CONFIGS = st.builds(
    WorkspaceConfig,
    name=NAMES,
    host=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    port=st.integers(1, 65535),
    node=st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?)?", fullmatch=True),
    verify_ssl=st.booleans() | st.text(max_size=20).map(lambda text: f"/{text}"),
    template=st.sampled_from(TEMPLATES),
    created=st.text(max_size=30),
)


@given(CONFIGS)
@settings(max_examples=150, deadline=None)
def test_any_config_reads_as_it_was_written(config: WorkspaceConfig) -> None:
    assert parse(decode(config.encode())) == config


@given(CONFIGS, st.data())
@settings(max_examples=100, deadline=None)
def test_config_cut_short_anywhere_is_never_taken_for_whole(
    config: WorkspaceConfig, data: st.DataObject
) -> None:
    whole = config.encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 2))]  # the last byte is a line feed
    with pytest.raises(ConfigCorrupt):
        decode(cut)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_config_or_refused(junk: bytes) -> None:
    try:
        parse(decode(junk + b"\n...\n"))
    except (ConfigCorrupt, WorkspaceTooNew) as refused:
        assert refused.message  # noqa: PT017 - most are refused, and none may escape otherwise


def test_created_without_quotes_is_a_text() -> None:
    plain = {"version": 3, "name": "a", "created": "X", "proxmox": {"host": "pve"}}
    data = encode(plain).replace(b"X", b"2026-01-02")
    assert parse(decode(data)).created == "2026-01-02"
