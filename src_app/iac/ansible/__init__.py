"""Ansible with community.proxmox: the inventory, the variables of each guest, and the playbooks."""
