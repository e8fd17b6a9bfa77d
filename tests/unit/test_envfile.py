"""``.env.test``: what a line may be, and that it never beats the environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox import envfile
from pytest_proxmox.errors import InvalidValue


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=pve", "pve"),
        ("  A = pve  ", "pve"),
        ("export A=pve", "pve"),
        ("A=", ""),
        ("A=  # nothing", ""),
        ("A=pve # the lab", "pve"),
        ("A=pa#ss", "pa#ss"),
        ("A='pa # ss'", "pa # ss"),
        ('A="pa # ss" # quoted', "pa # ss"),
        (r'A="say \"hi\""', 'say "hi"'),
        (r"A='back\slash'", r"back\slash"),
        ("A=a=b", "a=b"),
        ("A=$HOME", "$HOME"),
    ],
)
def test_line_gives_its_value(line: str, value: str) -> None:
    assert envfile.parse(f"# comment\n\n{line}\n") == {"A": value}


@pytest.mark.parametrize("line", ["hush", "A:hush", "1A=hush", "A='hush", 'A="hush" hush'])
def test_other_line_is_refused_by_number_and_never_repeated(line: str) -> None:
    with pytest.raises(InvalidValue, match=r"not KEY=VALUE \(\.env\.test, line 2\)") as caught:
        envfile.parse(f"B=1\n{line}\n")
    assert "hush" not in str(caught.value)


@given(st.text())
def test_any_text_is_variables_or_an_invalid_value(text: str) -> None:
    try:
        values = envfile.parse(text)
    except InvalidValue:
        return
    assert all(name.isidentifier() for name in values)


def test_last_value_of_a_name_wins() -> None:
    assert envfile.parse("A=1\nA=2") == {"A": "2"}


def test_no_file_means_no_variables(tmp_path: Path) -> None:
    assert envfile.read(tmp_path) == {}


def test_only_proxmox_variables_are_taken(tmp_path: Path) -> None:
    (tmp_path / ".env.test").write_text("PROXMOX_HOST=pve\nDATABASE_URL=sqlite://\n")
    assert envfile.read(tmp_path) == {"PROXMOX_HOST": "pve"}


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env.test").write_bytes(b"PROXMOX_HOST=\xff\xfe")
    with pytest.raises(InvalidValue, match="not UTF-8"):
        envfile.read(tmp_path)


def test_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env.test").mkdir()
    with pytest.raises(InvalidValue, match="cannot be read"):
        envfile.read(tmp_path)


def test_applied_variables_never_override_and_are_taken_back() -> None:
    environ = {"PROXMOX_HOST": "real"}
    with envfile.applied({"PROXMOX_HOST": "file", "PROXMOX_NODE": "pve2"}, environ):
        assert environ == {"PROXMOX_HOST": "real", "PROXMOX_NODE": "pve2"}
    assert environ == {"PROXMOX_HOST": "real"}


def test_variable_that_somebody_changed_meanwhile_is_left() -> None:
    environ: dict[str, str] = {}
    with envfile.applied({"PROXMOX_NODE": "pve2"}, environ):
        environ["PROXMOX_NODE"] = "pve3"
    assert environ == {"PROXMOX_NODE": "pve3"}


def test_tracked_is_what_git_says(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert not envfile.is_tracked(tmp_path)
    (tmp_path / ".env.test").touch()
    assert not envfile.is_tracked(tmp_path)
    subprocess.run(["git", "-C", str(tmp_path), "add", ".env.test"], check=True)
    assert envfile.is_tracked(tmp_path)


def test_without_git_nothing_is_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env.test").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not envfile.is_tracked(tmp_path)
