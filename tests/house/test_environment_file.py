"""The shipped ``.env.test.example`` and the ignored ``.env.test``."""

from __future__ import annotations

import re
import subprocess

from tests.house.source import ROOT

NAMED_IN_THE_CONTRACT = {
    "PROXMOX_TARGET",
    "PROXMOX_HOST",
    "PROXMOX_PORT",
    "PROXMOX_USER",
    "PROXMOX_PASSWORD",
    "PROXMOX_TOKEN_NAME",
    "PROXMOX_TOKEN_VALUE",
    "PROXMOX_USERNAME",
    "PROXMOX_TOKEN_ID",
    "PROXMOX_TOKEN_SECRET",
    "PROXMOX_NODE",
    "PROXMOX_STORAGE",
    "PROXMOX_BACKUP_STORAGE",
    "PROXMOX_TEMPLATE",
    "PROXMOX_BRIDGE",
    "PROXMOX_POOL",
    "PROXMOX_VERIFY_SSL",
    "PROXMOX_VMID_RANGE",
}


def test_the_example_names_every_variable() -> None:
    text = (ROOT / ".env.test.example").read_text()
    assert set(re.findall(r"PROXMOX_[A-Z_]+", text)) >= NAMED_IN_THE_CONTRACT


def test_the_example_sets_nothing_by_itself() -> None:
    lines = (ROOT / ".env.test.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_git_ignores_the_real_one() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "--no-index", ".env.test"], cwd=ROOT, check=False
    )
    if ignored.returncode == 128:  # not a checkout: the file that git reads is still there
        assert ".env.test" in (ROOT / ".gitignore").read_text().splitlines()
    else:
        assert ignored.returncode == 0
