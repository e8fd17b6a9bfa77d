"""The Dockerfile, judged without a Docker engine: its form, and what its command does."""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from pytest_proxmox.clock import SystemClock
from tests.house.source import ROOT

KNOWN = set(
    "FROM WORKDIR COPY RUN USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT CMD ENV ARG LABEL".split()
)
START_S = 60.0


def instructions() -> list[tuple[str, str]]:
    """Return each instruction with its arguments, lines that go on joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line[:1] != "#"]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [
        (name, " ".join(rest.split()))
        for name, _, rest in (line.partition(" ") for line in whole.splitlines() if line)
    ]


def _last(name: str) -> str:
    return next(rest for known, rest in reversed(instructions()) if known == name)


def _listed(name: str) -> list[str]:
    """The instruction's list: as JSON, so that no shell stands between Docker and the process."""
    found: list[str] = json.loads(_last(name)[_last(name).index("[") :])
    return found


def test_every_instruction_is_one() -> None:
    assert {name for name, _ in instructions()} - KNOWN == set()
    assert instructions()[0][0] == "FROM"


def test_each_base_has_a_version_of_python_that_we_support() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert set(bases) == {"python:3.13-slim"}
    assert "Programming Language :: Python :: 3.13" in (ROOT / "pyproject.toml").read_text()


def test_it_does_not_run_as_root() -> None:
    names = [name for name, _ in instructions()]
    assert _last("USER") == "pve"
    assert "RUN" not in names[names.index("USER") :]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[0] == "*"
    for name, rest in instructions():
        if name == "COPY":
            sources = [one.removeprefix("./") for one in shlex.split(rest)[:-1]]
            assert all((ROOT / one).exists() for one in sources)
            assert all(any(fnmatch.fnmatch(one, good) for good in kept) for one in sources)


def test_the_port_and_the_folder_are_those_of_the_command() -> None:
    command = _listed("CMD")
    assert command[command.index("--port") + 1] == _last("EXPOSE")
    ready = Path(command[command.index("--ready-file") + 1])
    assert str(ready) in _listed("HEALTHCHECK")
    assert [str(ready.parent)] == _listed("VOLUME")
    assert str(ready.parent) == _last("WORKDIR")


def test_the_build_stage_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    for name, rest in instructions():
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, tmp_path / target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(tmp_path / wheel.name) as theirs:
        assert ours.namelist() == theirs.namelist()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def test_its_command_serves_and_ends_at_a_stop(wheel: Path, tmp_path: Path) -> None:
    """The command itself, from the unpacked wheel; only its port and its folder are others."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    state = tmp_path / "state"
    state.mkdir()
    given = [one.replace("/state/", f"{state}/") for one in _listed("CMD")]
    given[given.index("--port") + 1] = "0"
    process = subprocess.Popen(
        [sys.executable, "-m", _listed("ENTRYPOINT")[0].replace("-", "_"), *given],
        cwd=state,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            ready = _once_there(state / "ready.json", process)
            assert ready["url"].startswith(f"https://{socket.gethostname()}:")
            assert _version(ready) == "9.2.11"
            process.send_signal(signal.SIGTERM)  # what docker stop sends
            assert process.wait(START_S) == 0
        finally:
            process.kill()
    assert list(state.iterdir()) == []


def _once_there(path: Path, process: subprocess.Popen[str]) -> dict[str, str]:
    start = SystemClock().monotonic()
    while not path.exists():
        if process.poll() is not None or SystemClock().monotonic() - start > START_S:
            process.kill()
            pytest.fail(process.communicate()[0])
        SystemClock().sleep(0.05)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _version(ready: dict[str, str]) -> str:
    """Ask through the published port, as localhost; the certificate has that name, too."""
    port = ready["url"].rpartition(":")[2]
    token = f"PVEAPIToken={ready['token_id']}={ready['token_secret']}"
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/api2/json/version", headers={"Authorization": token}
    )
    context = ssl.create_default_context(cafile=ready["ca_file"])
    with urllib.request.urlopen(request, context=context, timeout=START_S) as answer:
        return str(json.load(answer)["data"]["version"])
