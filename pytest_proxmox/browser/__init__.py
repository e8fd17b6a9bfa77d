"""Pages that say why they died, logins that are checked, artifacts that stay."""

from __future__ import annotations

from pytest_proxmox.browser.auth import AuthFlow, Layer, seven_layers, visible
from pytest_proxmox.browser.diagnosis import ensure_page_alive, safe_navigate
from pytest_proxmox.browser.guard import Guard
from pytest_proxmox.browser.logins import (
    Account,
    Adapter,
    BearerLogin,
    CookieLogin,
    Login,
    PveTicketLogin,
)
from pytest_proxmox.browser.selectors import ambiguous_selectors
from pytest_proxmox.errors import AuthFailed, PageClosedError

__all__ = [
    "Account",
    "Adapter",
    "AuthFailed",
    "AuthFlow",
    "BearerLogin",
    "CookieLogin",
    "Guard",
    "Layer",
    "Login",
    "PageClosedError",
    "PveTicketLogin",
    "ambiguous_selectors",
    "ensure_page_alive",
    "safe_navigate",
    "seven_layers",
    "visible",
]
