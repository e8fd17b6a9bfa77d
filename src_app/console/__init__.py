"""The console: commands for a workspace and its Proxmox, typed, scripted, or said in words."""
