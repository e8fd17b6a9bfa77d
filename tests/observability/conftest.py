"""The console's own fixtures: a workspace for the embedded Proxmox."""

from __future__ import annotations

from tests.console.conftest import cluster, empty_workspace, environment, root

__all__ = ["cluster", "empty_workspace", "environment", "root"]
