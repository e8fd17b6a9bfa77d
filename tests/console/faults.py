"""Faults on the way to Proxmox."""

from __future__ import annotations

import requests


def unplugged(number: int, method: str) -> None:
    """Let every request fail before it is sent."""
    raise requests.ConnectionError(f"the cable is out: {method} {number}")
