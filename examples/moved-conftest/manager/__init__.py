"""A small app manager: each app is a row in a database and a container on Proxmox."""
