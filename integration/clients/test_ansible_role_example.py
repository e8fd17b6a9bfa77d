"""The example of an Ansible role: its tests pass, and are skipped where Ansible is absent."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/ansible-role"


@pytest.fixture
def example(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The example, copied, with none of the machine's own settings."""
    for name in os.environ:
        if name.startswith(("PROXMOX_", "ANSIBLE_")):
            monkeypatch.delenv(name)
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    return pytester


@pytest.mark.slow
def test_the_role_does_what_its_tests_say(
    example: pytest.Pytester, ansible_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(ansible_python.parent), prepend=os.pathsep)
    example.runpytest_subprocess().assert_outcomes(passed=4)


def test_without_ansible_the_reason_is_told(
    example: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(example.path))
    result = example.runpytest_subprocess("-rs")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["SKIPPED*ansible-playbook is not installed"])
