"""Terraform's and Ansible's own programs as judges of generated code, where they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src_app.iac.validation import Problem

TIMEOUT_S = 120.0
MIRROR = "APP_TERRAFORM_MIRROR"  # a folder with the provider, as `terraform providers mirror` fills


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program said; ``skipped`` says why it was not asked."""

    tool: str
    problems: tuple[Problem, ...] = ()
    skipped: str = ""


def terraform_fmt(folder: Path) -> Verdict:
    """Return whether files are as ``terraform fmt`` would leave them; needs no provider."""
    name = "terraform fmt"
    if shutil.which("terraform") is None:
        return Verdict(name, skipped="terraform is not on PATH")
    done = _run(["terraform", "fmt", "-check", "-no-color", "-list=true", "."], folder)
    if done.returncode == 0:
        return Verdict(name)
    told = done.stdout.split() if done.returncode == 3 else [_last_lines(done)]
    return Verdict(name, tuple(Problem(name, line) for line in told))


def terraform_validate(folder: Path, environ: Mapping[str, str] | None = None) -> Verdict:
    """Return what ``terraform validate`` says: only where a mirror has the provider.

    Without the provider it stops at the first error and proves nothing.
    """
    name = "terraform validate"
    mirror = (os.environ if environ is None else environ).get(MIRROR, "")
    if not mirror:
        return Verdict(name, skipped=f"{MIRROR} names no folder with the provider")
    if shutil.which("terraform") is None:
        return Verdict(name, skipped="terraform is not on PATH")
    with tempfile.TemporaryDirectory() as data:
        place = {"TF_DATA_DIR": data}
        init = ["terraform", "init", "-backend=false", "-no-color", f"-plugin-dir={mirror}"]
        for command in (init, ["terraform", "validate", "-no-color"]):
            done = _run(command, folder, place)
            if done.returncode:
                return Verdict(name, (Problem(name, _last_lines(done)),))
    return Verdict(name)


def ansible_syntax(folder: Path, playbooks: Sequence[str]) -> Verdict:
    """Return whether ``ansible-playbook --syntax-check`` takes the playbooks."""
    name = "ansible-playbook --syntax-check"
    if shutil.which("ansible-playbook") is None:
        return Verdict(name, skipped="ansible-playbook is not on PATH")
    done = _run(["ansible-playbook", "--syntax-check", *playbooks], folder)
    if done.returncode == 0:
        return Verdict(name)
    return Verdict(name, (Problem(name, _last_lines(done)),))


def _run(
    command: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", **(extra or {})}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _last_lines(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return " ".join(lines[-4:]) or f"exit code {done.returncode}"
