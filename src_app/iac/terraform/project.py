"""The whole Terraform project of a cluster: one flat folder, as Terraform loads it."""

from __future__ import annotations

from collections.abc import Sequence

from src_app.iac.files import MARK
from src_app.iac.hcl import Attribute, Block, Comment, Expression, Item, Value, attributes, render
from src_app.iac.names import guest_name, storage_name
from src_app.iac.state import CONTAINER_KIND, VM_KIND, ClusterState, GuestFacts
from src_app.iac.terraform.container import RESOURCE as CONTAINER
from src_app.iac.terraform.container import TEMPLATES, container, os_type
from src_app.iac.terraform.storage import resource, storage_block, storage_variables
from src_app.iac.terraform.vm import RESOURCE as VM
from src_app.iac.terraform.vm import vm

PROVIDER = "bpg/proxmox"
PROVIDER_VERSION = ">= 0.98.0, < 1.0.0"  # the first with the storages' short names
TERRAFORM_VERSION = ">= 1.5.0"  # the first with import blocks
GUESTS = {VM_KIND: (VM, vm), CONTAINER_KIND: (CONTAINER, container)}


def terraform(state: ClusterState, *, endpoint: str = "") -> dict[str, str]:
    """Return the files by name; the same state gives the same bytes.

    ``endpoint`` is the address of the API, and not a secret. The token is never in a file: the
    provider reads it from ``PROXMOX_VE_API_TOKEN``.
    """
    files: dict[str, Sequence[Item]] = {
        "main.tf": _main(),
        "variables.tf": _variables(state, endpoint),
        "vms.tf": [vm(guest) for guest in state.kind(VM_KIND)],
        "containers.tf": [container(guest) for guest in state.kind(CONTAINER_KIND)],
        "storages.tf": _storages(state),
        "imports.tf": _imports(state),
        "outputs.tf": _outputs(state),
    }
    head = render(Comment(MARK))
    made = {name: f"{head}\n{render(*items)}" for name, items in files.items() if items}
    return made | {"terraform.tfvars.example": _example(state, endpoint)}


def address(guest: GuestFacts) -> str:
    """Return the guest's address in the project."""
    return f"{GUESTS[guest.kind][0]}.{guest_name(guest.name, guest.vmid, guest.kind)}"


def _main() -> list[Item]:
    wanted: dict[str, Value] = {"source": PROVIDER, "version": PROVIDER_VERSION}
    providers = Block("required_providers", body=(Attribute("proxmox", wanted),))
    return [
        Block("terraform", body=(Attribute("required_version", TERRAFORM_VERSION), providers)),
        Comment(
            "The token comes from the environment: PROXMOX_VE_API_TOKEN=USER@REALM!NAME=SECRET"
        ),
        Block(
            "provider",
            ("proxmox",),
            attributes(
                {
                    "endpoint": Expression("var.proxmox_endpoint"),
                    "insecure": Expression("var.proxmox_insecure"),
                }
            ),
        ),
    ]


def _variables(state: ClusterState, endpoint: str) -> list[Item]:
    found: list[Item] = [
        _variable("proxmox_endpoint", "string", "Address of the API, https://HOST:8006/", endpoint),
        Block(
            "variable",
            ("proxmox_insecure",),
            attributes(
                {
                    "description": "Whether the certificate is left unchecked",
                    "type": Expression("bool"),
                    "default": False,
                }
            ),
        ),
    ]
    if state.kind(CONTAINER_KIND):
        text = "The template that containers of each distribution are made from, if made anew"
        found.append(_variable(TEMPLATES, "map(string)", text))
    for storage in state.storages:
        found += storage_variables(storage)
    return found


def _variable(name: str, kind: str, description: str, default: str = "") -> Block:
    values: dict[str, Value | None] = {
        "description": description,
        "type": Expression(kind),
        "default": default or None,
    }
    return Block("variable", (name,), attributes(values))


def _storages(state: ClusterState) -> list[Item]:
    nodes = [node.name for node in state.nodes]
    found: list[Item] = []
    others: dict[str, Value] = {}
    for storage in state.storages:
        made = storage_block(storage, nodes)
        if made is None:
            others[storage.name] = storage.type
        else:
            found.append(made)
    if others:
        found.append(Comment("The provider has no resource for storages of these types."))
        found.append(Block("locals", body=(Attribute("other_storages", others),)))
    return found


def _imports(state: ClusterState) -> list[Item]:
    guests = [(address(guest), f"{guest.node}/{guest.vmid}") for guest in state.guests]
    storages = [
        (f"{kind}.{storage_name(storage.name)}", storage.name)
        for storage in state.storages
        if (kind := resource(storage)) is not None
    ]
    return [
        Block("import", body=(Attribute("to", Expression(to)), Attribute("id", name)))
        for to, name in [*guests, *storages]
    ]


def _outputs(state: ClusterState) -> list[Item]:
    found: list[Item] = []
    for kind, label in ((VM_KIND, "vms"), (CONTAINER_KIND, "containers")):
        values: dict[str, Value] = {
            guest_name(guest.name, guest.vmid, kind): Expression(f"{address(guest)}.vm_id")
            for guest in state.kind(kind)
        }
        if values:
            found.append(Block("output", (label,), (Attribute("value", values),)))
    return found


def _example(state: ClusterState, endpoint: str) -> str:
    """Return what to fill in; the values of secrets belong into the environment."""
    values: list[Item] = [
        Attribute("proxmox_endpoint", endpoint or "https://HOST:8006/"),
    ]
    if kinds := sorted({os_type(guest) for guest in state.kind(CONTAINER_KIND)}):
        templates: dict[str, Value] = dict.fromkeys(kinds, "STORAGE:vztmpl/FILE")
        values.append(Attribute(TEMPLATES, templates))
    for storage in state.storages:
        for variable in storage_variables(storage):
            if not any(isinstance(i, Attribute) and i.name == "sensitive" for i in variable.body):
                values.append(Attribute(variable.labels[0], ""))
    head = render(Comment(f"{MARK}\nCopy it to terraform.tfvars and fill it in."))
    return f"{head}\n{render(*values)}"
