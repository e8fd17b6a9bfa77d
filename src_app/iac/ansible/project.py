"""The whole Ansible project of a cluster."""

from __future__ import annotations

from importlib import resources
from typing import Any

from src_app.iac.ansible.documents import Template, document
from src_app.iac.ansible.inventory import host_name, inventory
from src_app.iac.ansible.variables import host_variables
from src_app.iac.files import MARK
from src_app.iac.state import CONTAINER_KIND, ClusterState
from src_app.iac.terraform.container import os_type

PLAYBOOKS = ("site.yml", "guests.yml", "maintenance.yml")
REQUIREMENTS = {
    "collections": [
        {"name": "community.proxmox", "version": ">=1.2.0,<2.0.0"},
        {"name": "community.general", "version": ">=10.0.0"},
    ]
}
CONFIG = f"""# {MARK}
# Where Proxmox is and who asks comes from the environment: PROXMOX_HOST, PROXMOX_USER,
# PROXMOX_TOKEN_ID and PROXMOX_TOKEN_SECRET (or PROXMOX_PASSWORD).
[defaults]
inventory = inventory.yml
interpreter_python = auto_silent
retry_files_enabled = False
"""


def ansible(state: ClusterState) -> dict[str, str]:
    """Return the files by name; the same state gives the same bytes.

    No secret is in them: the modules read theirs from the environment.
    """
    files = {
        "ansible.cfg": CONFIG,
        "requirements.yml": document(REQUIREMENTS),
        "inventory.yml": document(inventory(state)),
        "group_vars/all.yml": document({"ansible_user": "root"}),
        "group_vars/containers.yml": document(_container_variables(state)),
    }
    for name in PLAYBOOKS:
        files[f"playbooks/{name}"] = f"---\n# {MARK}\n{_playbook(name)}"
    for guest in state.guests:
        files[f"host_vars/{host_name(guest)}.yml"] = document(host_variables(guest))
    return files


def _playbook(name: str) -> str:
    folder = resources.files("src_app.iac.ansible").joinpath("playbooks")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _container_variables(state: ClusterState) -> dict[str, Any]:
    """Return what containers are made from, to be filled in: Proxmox does not keep it.

    A variable of another name, ``container_templates``, wins where it is given: with ``-e``, or
    in a file of one's own.
    """
    kinds = sorted({os_type(guest) for guest in state.kind(CONTAINER_KIND)})
    return {
        "proxmox_container_templates": Template("{{ container_templates | default({}) }}"),
        "proxmox_container_kinds": kinds,
    }
