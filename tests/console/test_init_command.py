"""/init: a functional workspace, or none at all and the reason why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_proxmox.fixtures.embedded import EmbeddedProxmox
from src_app.workspace import ProjectWorkspace
from src_app.workspace.parts import FOLDER
from tests.console.conftest import Sit
from tests.console.ending import counted, nothing
from tests.console.faults import unplugged


def test_init_makes_a_workspace_whose_database_works(
    sit: Sit, tmp_path: Path, proxmox_simulator: EmbeddedProxmox
) -> None:
    folder = tmp_path / "lab"
    sitting = sit(folder)
    told = sitting.json("/init --template homelab --node pve")
    assert told["workspace"] == str(folder)
    workspace = sitting.session.workspace
    assert workspace is not None
    assert workspace.store.health().ok
    assert (workspace.config.name, workspace.config.template) == ("lab", "homelab")
    there = 3 + len(proxmox_simulator.guests())  # a node, two storages; a wider fixture's guest
    assert sitting.json("/sync")["counts"]["added"] == there
    assert sit(folder).json("/status")["nodes"] == 1


def test_init_asks_for_what_it_is_not_told(
    sit: Sit, tmp_path: Path, environment: dict[str, str]
) -> None:
    server = f"{environment['PROXMOX_HOST']}:{environment['PROXMOX_PORT']}"
    answers = [server, "", "", "pve", "secret"]
    sitting = sit(tmp_path / "lab", answers=answers)
    ca_file = environment["PROXMOX_VERIFY_SSL"]
    sitting.session.environ = {"HOME": str(tmp_path)}
    sitting.run(f"/init --ca-file {ca_file}")
    assert sitting.answers == []
    assert sitting.session.workspace is not None
    assert sitting.session.workspace.config.user == "root@pam"
    assert sitting.session.workspace.secret() == "secret"


@pytest.mark.parametrize(
    ("line", "told", "code"),
    [
        ("/init --server http://pve", "is not a Proxmox address", 2),
        ("/init --user root --offline", "must be a user with its realm", 2),
        ("/init --name 'a b' --offline", "must be letters", 2),
        ("/init --template huge", "must be one of basic", 2),
        ("/init --server 127.0.0.1:1", "no Proxmox answers", 1),
    ],
)
def test_refused_init_leaves_nothing(
    sit: Sit, tmp_path: Path, line: str, told: str, code: int
) -> None:
    printed = sit(tmp_path / "lab").run(line, expect=code)
    assert told in printed
    assert not (tmp_path / "lab" / FOLDER).exists()


def test_wrong_password_is_told_without_it(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab")
    sitting.session.environ["PROXMOX_PASSWORD"] = "not the right one"
    printed = sitting.run("/init", expect=1)
    assert "refused the password of root@pam" in printed
    assert "not the right one" not in printed
    assert not (tmp_path / "lab" / FOLDER).exists()


def test_wrong_password_is_asked_for_again(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab", answers=["wrong too", "secret"])
    sitting.session.environ["PROXMOX_PASSWORD"] = "not the right one"
    assert "refused the password" in sitting.run("/init")
    assert sitting.session.services.workspace.secret() == "secret"


def test_wrong_password_is_not_asked_for_without_end(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab", answers=["wrong", "wrong", "never asked"])
    sitting.session.environ["PROXMOX_PASSWORD"] = "wrong"
    sitting.run("/init", expect=1)
    assert sitting.answers == ["never asked"]
    assert not (tmp_path / "lab" / FOLDER).exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 3)])
def test_unknown_certificate_is_trusted_only_where_that_is_confirmed(
    sit: Sit, tmp_path: Path, answer: str, code: int
) -> None:
    sitting = sit(tmp_path / "lab", answers=[answer])
    sitting.session.environ["PROXMOX_VERIFY_SSL"] = "true"
    assert "cannot be verified" in sitting.run("/init", expect=code)
    workspace = sitting.session.workspace
    assert (workspace.config.verify_ssl if workspace else None) is (False if code == 0 else None)


def test_unknown_certificate_ends_a_script_with_the_flags_that_help(
    sit: Sit, tmp_path: Path
) -> None:
    sitting = sit(tmp_path / "lab")
    sitting.session.environ["PROXMOX_VERIFY_SSL"] = "true"
    assert "Give --ca-file FILE" in sitting.run("/init", expect=1)


def test_init_without_secret_in_a_script_says_what_to_set(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab")
    del sitting.session.environ["PROXMOX_PASSWORD"]
    assert "Set PROXMOX_PASSWORD" in sitting.run("/init", expect=2)


def test_second_init_is_refused(sit: Sit, root: Path) -> None:
    assert "is a workspace already" in sit(root).run("/init", expect=1)


def test_offline_init_asks_nobody(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab")
    with counted(unplugged, nothing) as asked:
        sitting.run("/init --server pve.example.org --offline")
    assert asked == []
    assert ProjectWorkspace.detect(tmp_path / "lab") is not None


def test_init_is_in_the_history_of_its_workspace(sit: Sit, tmp_path: Path) -> None:
    sitting = sit(tmp_path / "lab")
    sitting.run("/init")
    assert sitting.session.history.commands == ["/init"]
    assert sitting.session.home == tmp_path / "lab" / FOLDER / "history"
