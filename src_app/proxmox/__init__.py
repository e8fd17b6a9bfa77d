"""Containers on Proxmox VE through proxmoxer."""

from src_app.proxmox.service import ProxmoxService

__all__ = ["ProxmoxService"]
