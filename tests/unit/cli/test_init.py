"""``pytest-proxmox init``: writes what a project lacks, and changes nothing that is there."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from pytest_proxmox.cli import project
from pytest_proxmox.cli.main import BAD_INPUT, main
from tests.house.source import ROOT

ALL = [".env.test.example", ".github/workflows/proxmox.yml", ".gitignore", "pytest.ini"]


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_empty_project_gets_every_file(here: Path) -> None:
    assert main(["init"]) == 0
    assert sorted(_files(here)) == ALL


def test_a_second_time_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    before = _files(here)
    capsys.readouterr()
    assert main(["init"]) == 0
    assert _files(here) == before
    assert capsys.readouterr().out.count("was there") == len(ALL)


def test_a_dry_run_writes_nothing_and_shows_all(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--dry-run"]) == 0
    assert _files(here) == {}
    out = capsys.readouterr().out
    assert "pytest.ini" in out
    assert "  proxmox_vmid_range = 9000-9999\n" in out
    assert "  #PROXMOX_HOST=pve.example.org\n" in out


def test_a_pyproject_without_settings_of_pytest_gets_them_at_its_end(here: Path) -> None:
    mine = '[project]\nname = "shop"  # mine'
    (here / "pyproject.toml").write_text(mine)
    main(["init"])
    text = (here / "pyproject.toml").read_text()
    assert text.startswith(mine + "\n\n[tool.pytest.ini_options]\n")
    assert tomllib.loads(text)["tool"]["pytest"]["ini_options"] == project.SETTINGS
    assert not (here / "pytest.ini").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool.pytest.ini_options]\nproxmox_target = 'real'\n"),
        ("pyproject.toml", "[tool.pytest]\nproxmox_target = 'real'\n"),
        ("pytest.toml", "[pytest]\nproxmox_target = 'real'\n"),
        ("pytest.ini", "[pytest]\nproxmox_target = real\n"),
        ("tox.ini", "[tox]\nenvlist = a\n[pytest]\nproxmox_target = real\n"),
        ("setup.cfg", "[tool:pytest]\nproxmox_target = real\n"),
    ],
    ids=["pyproject", "pytest 9's table", "pytest.toml", "pytest.ini", "tox.ini", "setup.cfg"],
)
def test_settings_that_are_there_are_left_and_shown(
    name: str, text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / name).write_text(text)
    assert main(["init", "--ci", "none"]) == 0
    assert (here / name).read_text() == text
    out = capsys.readouterr().out
    assert f"{name}:\n" in out
    assert "proxmox_vmid_range = " in out
    assert "proxmox_target" not in out


def test_an_empty_pytest_ini_is_the_one_that_pytest_reads(here: Path) -> None:
    (here / "pytest.ini").touch()
    (here / "tox.ini").write_text("[pytest]\n")
    main(["init"])
    assert (here / "pytest.ini").read_text().startswith("[pytest]\nasyncio_")
    assert (here / "tox.ini").read_text() == "[pytest]\n"


def test_a_tox_ini_without_pytest_is_no_ini_of_pytest(here: Path) -> None:
    (here / "tox.ini").write_text("[tox]\nenvlist = a\n")
    main(["init"])
    assert (here / "pytest.ini").exists()


def test_git_is_told_of_the_secrets_once(here: Path) -> None:
    (here / ".gitignore").write_text("build/")
    main(["init"])
    main(["init"])
    assert (here / ".gitignore").read_text() == "build/\n.env.test\n"


def test_a_workflow_of_ones_own_is_left_and_what_it_lacks_is_shown(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".gitlab-ci.yml").write_text("mine: {}\n")
    assert main(["init", "--ci", "gitlab"]) == 0
    assert (here / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    out = capsys.readouterr().out
    assert "left as it is" in out
    assert "  tests:\n" in out


@pytest.mark.parametrize(
    ("name", "text"),
    [("pyproject.toml", "[tool\n"), ("tox.ini", "nothing\n"), ("pytest.ini", "\ufffe\x00[\n")],
    ids=["toml", "ini", "ini without a section"],
)
def test_a_broken_file_is_named_and_nothing_is_written(
    name: str, text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / name).write_text(text)
    assert main(["init"]) == BAD_INPUT
    assert f'"{name}" cannot be read: ' in capsys.readouterr().err
    assert list(_files(here)) == [name]


def test_a_file_in_the_way_of_a_folder_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".github").write_text("")
    assert main(["init"]) == BAD_INPUT
    assert 'proxmox.yml" cannot be ' in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_with_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".env.test.example").symlink_to(here / "nowhere")
    assert main(["init"]) == BAD_INPUT
    err = capsys.readouterr().err
    assert '.env.test.example" cannot be written: File exists (folder .). Make the folder' in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.chmod(0o500)
    try:
        assert main(["init"]) == BAD_INPUT
    finally:
        here.chmod(0o700)
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_a_folder_that_is_none_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "nowhere"]) == BAD_INPUT
    assert '"nowhere" is no folder (argument FOLDER)' in capsys.readouterr().err


def test_the_example_that_ships_is_the_repositorys() -> None:
    shipped = ROOT / "pytest_proxmox" / "cli" / "starters" / "env.test.example"
    assert shipped.read_text() == (ROOT / ".env.test.example").read_text()
