"""Pages that say why they died, logins that are checked, artifacts that stay."""

from __future__ import annotations

from pytest_proxmox.browser.diagnosis import ensure_page_alive, safe_navigate
from pytest_proxmox.browser.guard import Guard
from pytest_proxmox.errors import PageClosedError

__all__ = ["Guard", "PageClosedError", "ensure_page_alive", "safe_navigate"]
