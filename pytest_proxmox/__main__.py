"""``python -m pytest_proxmox``: the same as the command ``pytest-proxmox``."""

from __future__ import annotations

import sys

from pytest_proxmox.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
