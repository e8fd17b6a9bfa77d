"""The manager in a browser, on an embedded Proxmox: what a person does, from login to rollback."""
