"""The command line: help that is short, mistakes in one line, exit status 2 for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_proxmox import __version__
from pytest_proxmox.cli.main import BAD_INPUT, COMMANDS, main


def ended(argv: list[str]) -> int | str | None:
    """Return the exit status, whichever way the command line ends."""
    try:
        return main(argv)
    except SystemExit as exc:
        return exc.code


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["fly"], "pytest-proxmox: argument COMMAND: invalid choice: 'fly'"),
        (["serve", "--port", "x"], 'pytest-proxmox serve: argument --port: "x" is not a port'),
        (["serve", "--port", "65536"], "pytest-proxmox serve: argument --port:"),
        (["serve", "--scale", "0"], 'pytest-proxmox serve: argument --scale: "0" is not a number'),
        (["serve", "--scale", "nan"], "pytest-proxmox serve: argument --scale:"),
        (["serve", "--clock", "x"], "pytest-proxmox serve: argument --clock: invalid choice: 'x'"),
        (["serve", "--moon"], "pytest-proxmox: unrecognized arguments: --moon"),
    ],
    ids=["command", "port", "high port", "scale", "nan", "clock", "flag"],
)
def test_bad_input_ends_with_2_and_one_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(argv) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == BAD_INPUT
    assert "serve the embedded Proxmox" in capsys.readouterr().out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--version"]) == 0
    assert capsys.readouterr().out == f"pytest-proxmox {__version__}\n"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_fits_one_screen(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert all(len(line) <= 100 for line in lines)


def test_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_proxmox", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"pytest-proxmox {__version__}\n"
