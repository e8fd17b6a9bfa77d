"""pytest-proxmox: test software for Proxmox VE against an embedded or a real one."""

__version__ = "0.1.0.dev0"
