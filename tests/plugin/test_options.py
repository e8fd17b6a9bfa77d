"""Options: each mistake ends the run with exit code 4 and one line; the header says all."""

from __future__ import annotations

import pytest

from pytest_proxmox.options import OPTIONS
from tests.plugin.conftest import Project

TEST = "def test_nothing(): pass\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--proxmox", "moon"], '"moon" is not a target (option --proxmox). Use simulator, real'),
        (["--proxmox", "real"], 'target "real" has no host (option --proxmox). Set PROXMOX_HOST'),
        (["--proxmox-clock", "x"], '"x" is not a clock (option --proxmox-clock). Use on-poll'),
        (["--proxmox-transport", "x"], '"x" is not a transport (option --proxmox-transport).'),
        (
            ["--vmid-range", "9000-8000"],
            'VMID range "9000-8000" is empty (option --vmid-range). Give the lower number first',
        ),
        (["--vmid-range", "9000"], 'VMID range "9000" is not a range (option --vmid-range).'),
        (["--vmid-range="], 'VMID range "" is not a range (option --vmid-range).'),
        (
            ["--proxmox-world", "no.json"],
            'world "no.json" is no preset, and a file of that name does not exist '
            "(option --proxmox-world).",
        ),
        (["--proxmox-port", "x"], '"x" is not a port (option --proxmox-port). Use 1 to 65535'),
        (["--proxmox-user", "root"], '"root" is not a Proxmox user (option --proxmox-user).'),
        (
            ["-o", "proxmox_clock=x"],
            '"x" is not a clock (ini key proxmox_clock, -o). Use on-poll, instant, real, manual',
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("workers", ["0", "2"], ids=["alone", "xdist"])
def test_bad_option_ends_with_code_4_and_one_line(
    project: Project, args: list[str], message: str, workers: str
) -> None:
    project.write("test_it.py", TEST)
    result = project.run("-n", workers, *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert line.startswith(f"ERROR: {message}")
    assert "Traceback" not in result.stdout.str()


def test_bad_option_shows_no_traceback_in_a_process_of_its_own(project: Project) -> None:
    result = project.run_apart("--vmid-range", "9000-8000")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines == [
        'ERROR: VMID range "9000-8000" is empty (option --vmid-range). '
        "Give the lower number first, e.g. 8000-9000",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("tox.ini", "[pytest]\nproxmox_vmid_range = 9-8\n", "tox.ini"),
        ("pytest.ini", "[pytest]\nproxmox_vmid_range = 9-8\n", "pytest.ini"),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\nproxmox_vmid_range = "9-8"\n',
            "pyproject.toml",
        ),
    ],
    ids=["tox.ini", "pytest.ini", "pyproject.toml"],
)
def test_bad_ini_value_is_told_with_key_and_file(
    project: Project, name: str, text: str, place: str
) -> None:
    (project.path / "tox.ini").unlink()
    project.write(name, text)
    result = project.run_apart()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *(ini key proxmox_vmid_range, {place})*"])


def test_number_in_a_toml_file_is_read(project: Project) -> None:
    (project.path / "tox.ini").unlink()
    project.write(
        "pyproject.toml",
        "[tool.pytest.ini_options]\nproxmox_port = 8007\n"
        'asyncio_default_fixture_loop_scope = "function"\n',
    )
    result = project.run()
    result.stdout.fnmatch_lines(["proxmox: simulator (default), port 8007 (pyproject.toml)"])


def test_bad_variable_is_told_by_its_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXMOX_TARGET", "moon")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *(environment variable PROXMOX_TARGET)*"])


def test_world_in_an_ini_file_is_relative_to_that_file(project: Project) -> None:
    project.write("worlds/lab.json", "{}")
    project.ini("proxmox_world = worlds/lab.json")
    project.write("sub/test_it.py", TEST)
    project.pytester.chdir()
    result = project.run("sub", "--rootdir", str(project.path))
    result.stdout.fnmatch_lines([f"*world {project.path / 'worlds/lab.json'} (tox.ini)*"])


def test_header_names_target_and_what_was_set_once(
    project: Project, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.ini("proxmox_vmid_range = 9000-9099")
    project.write("test_it.py", TEST)
    monkeypatch.setenv("PROXMOX_CLOCK", "instant")
    result = project.run(*how, "--proxmox", "simulator")
    lines = [line for line in result.outlines if line.startswith("proxmox:")]
    assert lines == [
        "proxmox: simulator (--proxmox), vmid range 9000-9099 (tox.ini), "
        "clock instant (PROXMOX_CLOCK)"
    ]


def test_header_shows_no_secret(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXMOX_HOST", "pve.lan:8007")
    monkeypatch.setenv("PROXMOX_PASSWORD", "hush")
    project.write(".env.test", "PROXMOX_TOKEN_ID=ci@pve!run\nPROXMOX_TOKEN_SECRET=hush\n")
    result = project.run("--proxmox", "real", "-v")
    result.stdout.fnmatch_lines(["proxmox: real (--proxmox), host pve.lan (PROXMOX_HOST)*"])
    result.stdout.fnmatch_lines(["*token name run (.env.test)*"])
    assert "hush" not in result.stdout.str()


def test_verbose_header_shows_defaults_too(project: Project) -> None:
    result = project.run("-v")
    result.stdout.fnmatch_lines(["proxmox: simulator (default)*vmid range 9000-9999 (default)*"])


def test_help_lists_each_option_with_its_ini_key(project: Project) -> None:
    text = project.run("--help").stdout.str()
    for option in OPTIONS:
        assert f"{option.flag}=" in text
        assert f"{option.ini} (string)" in text
