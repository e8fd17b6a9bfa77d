"""Terraform and Ansible as judges, played by programs that say and end as the real ones do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from src_app.iac.judges import (
    MIRROR,
    Verdict,
    ansible_syntax,
    terraform_fmt,
    terraform_validate,
)
from src_app.iac.validation import Problem

Install = Callable[[str, str], None]
MIRRORED = {MIRROR: "/srv/mirror"}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts programs on a PATH that has no others; each writes its arguments to ``asked``."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def installed(name: str, script: str) -> None:
        head = f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n'
        (programs / name).write_text(head + script + "\n")
        (programs / name).chmod(0o755)

    return installed


def asked(folder: Path) -> list[str]:
    """Return what the programs were asked, one call a line."""
    return (folder / "asked").read_text().splitlines()


@pytest.mark.parametrize(
    ("script", "problems"),
    [
        ("exit 0", []),
        ("echo main.tf; echo vms.tf; exit 3", ["main.tf", "vms.tf"]),
        ("echo main.tf; echo 'Error: odd brace' >&2; exit 2", ["Error: odd brace"]),
        ("exit 1", ["exit code 1"]),
    ],
    ids=["formatted", "unformatted", "no HCL", "mute"],
)
def test_fmt_names_the_files_that_it_would_change(
    install: Install, tmp_path: Path, script: str, problems: list[str]
) -> None:
    install("terraform", script)
    name = "terraform fmt"
    assert terraform_fmt(tmp_path) == Verdict(name, tuple(Problem(name, p) for p in problems))
    assert "-check" in asked(tmp_path)[0]  # it must not write


def test_validate_has_the_provider_from_the_mirror(install: Install, tmp_path: Path) -> None:
    install("terraform", '[ -d "$TF_DATA_DIR" ] && [ "$CHECKPOINT_DISABLE" = 1 ]')
    assert terraform_validate(tmp_path, MIRRORED) == Verdict("terraform validate")
    assert asked(tmp_path) == [
        "init -backend=false -no-color -plugin-dir=/srv/mirror",
        "validate -no-color",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"asked", "bin"}  # and no .terraform


@pytest.mark.parametrize(("fails", "calls"), [("init", 1), ("validate", 2)])
def test_validate_ends_with_the_step_that_fails(
    install: Install, tmp_path: Path, fails: str, calls: int
) -> None:
    install("terraform", f'[ "$1" != {fails} ] || {{ echo 1; echo; echo "  2"; exit 1; }} >&2')
    name = "terraform validate"
    assert terraform_validate(tmp_path, MIRRORED) == Verdict(name, (Problem(name, "1 2"),))
    assert len(asked(tmp_path)) == calls


@pytest.mark.parametrize(
    ("script", "problems"),
    [("exit 0", []), ("for n in 1 2 3 4 5; do echo $n; done; exit 4", ["2 3 4 5"])],
    ids=["sound", "wrong"],
)
def test_ansible_tells_the_end_of_what_it_says(
    install: Install, tmp_path: Path, script: str, problems: list[str]
) -> None:
    install("ansible-playbook", script)
    verdict = ansible_syntax(tmp_path, ["a.yml", "b.yml"])
    assert [problem.what for problem in verdict.problems] == problems
    assert asked(tmp_path) == ["--syntax-check a.yml b.yml"]


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        (terraform_fmt, "terraform is not on PATH"),
        (lambda folder: terraform_validate(folder, MIRRORED), "terraform is not on PATH"),
        (lambda folder: terraform_validate(folder, {}), f"{MIRROR} names no folder"),
        (lambda folder: ansible_syntax(folder, ["a.yml"]), "ansible-playbook is not on PATH"),
    ],
    ids=["fmt", "validate", "no mirror", "ansible"],
)
def test_judge_that_is_not_there_is_skipped_with_a_reason(
    install: Install, tmp_path: Path, judge: Callable[[Path], Verdict], reason: str
) -> None:
    assert os.listdir(tmp_path / "bin") == []
    verdict = judge(tmp_path)
    assert verdict.skipped.startswith(reason)
    assert verdict.problems == ()
