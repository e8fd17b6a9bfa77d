"""The clean-up campaign: random lives on a Proxmox, each with one event at one API boundary."""
