"""``pytest-proxmox completion``: a shell that has read the script really completes."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_proxmox.cli.completion import NAMES
from pytest_proxmox.cli.main import COMMANDS, main
from pytest_proxmox.cli.shells import SHELLS

# What readline does at a Tab: the words and the place are told, the answers read.
ASK = """
source "$1"; shift
[[ $(complete -p pytest-proxmox) == *_pytest_proxmox* ]] || exit 3
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_pytest_proxmox
printf '%s\\n' "${COMPREPLY[@]}"
"""
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def _script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = folder / f"complete.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def _run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@needs_bash
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["so"], {"soak"}),
        (["s"], {"serve", "schema", "setup", "sweep", "soak"}),
        (["--v"], {"--version"}),
        (["serve", "--re"], {"--ready-file"}),
        (["serve", "--clock", ""], {"on-poll", "instant", "real", "manual"}),
        (["serve", "--clock", "m"], {"manual"}),
        (["serve", "--port", ""], set()),
        (["serve", "--world", ""], {"single", "cluster", "a world.json", "tests"}),
        (["serve", "--world", "c"], {"cluster"}),
        (["serve", "--state", "a"], {"a world.json"}),
        (["serve", "--clock", "manual", "--wo"], {"--world"}),
        (["soak", "-n", "3", "--", "te"], {"tests"}),
        (["schema", "w"], {"world"}),
        (["completion", ""], {*NAMES, "-h", "--help"}),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words),
)
def test_bash_completes(
    typed: list[str], offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = _script("bash", tmp_path, capsys)
    here = tmp_path / "project"
    (here / "tests").mkdir(parents=True)
    (here / "a world.json").touch()
    told = _run("bash", "-c", ASK, "ask", script, "pytest-proxmox", *typed, folder=here)
    assert set(told.splitlines()) - {""} == offered


@needs_bash
def test_a_tab_at_a_terminal_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("bash", tmp_path, capsys)
    to_the_start, enter = "\x01", "\r"
    typed = f"source {script}{enter}pytest-proxmox cov\t--us\t{to_the_start}echo {enter}exit{enter}"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        os.write(ours, typed.encode())
        told, _ = process.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert told.split("\n")[0] == "pytest-proxmox coverage --used"


@pytest.mark.parametrize("shell", NAMES)
def test_every_command_and_flag_is_in_the_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _script(shell, tmp_path, capsys).read_text()
    assert [command for command in COMMANDS if command not in text] == []
    assert [flag for flag in ("ready-file", "dry-run", "random-order") if flag not in text] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert _run(shell, "-n", _script(shell, tmp_path, capsys), folder=tmp_path) == ""


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = _script("fish", tmp_path, capsys)
    ask = f"source {script}; complete -C 'pytest-proxmox serve --clock m'"
    assert _run("fish", "-c", ask, folder=tmp_path).partition("\t")[0] == "manual"


def test_every_shell_that_is_offered_can_be_written() -> None:
    assert list(NAMES) == list(SHELLS)
