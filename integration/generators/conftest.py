"""A cluster in a database, and the programs that take the code that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.clients import environments


@pytest.fixture(scope="session")
def ansible_python() -> Path:
    """The Python of an environment with Ansible, community.proxmox and what that needs."""
    try:
        return environments.python_with("ansible", *environments.ANSIBLE)
    except environments.Unavailable as exc:
        pytest.skip(str(exc))
