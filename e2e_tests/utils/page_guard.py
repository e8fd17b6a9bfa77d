"""Pages that say why they are gone: the plan's name for what the plugin gives."""

from __future__ import annotations

from pytest_proxmox.browser import Guard, PageClosedError, ensure_page_alive, safe_navigate

__all__ = ["Guard", "PageClosedError", "ensure_page_alive", "safe_navigate"]
