"""Sphinx settings; built with ``-n -W``: a reference that leads nowhere is an error."""

from __future__ import annotations

from pytest_proxmox import __version__

project = "pytest-proxmox"
author = "The pytest-proxmox founders"
project_copyright = "2026, The pytest-proxmox founders"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "**/.pytest_cache"]  # the examples may be run where they lie
nitpicky = True

html_theme = "furo"
html_title = f"pytest-proxmox {release}"
