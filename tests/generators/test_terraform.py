"""Terraform from the database: templates per type, formatting, validation, no secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.iac.files import write
from src_app.iac.hcl import Attribute, Block, quote, render
from src_app.iac.state import ClusterState, GuestFacts
from src_app.iac.terraform.project import terraform
from src_app.iac.validation import parse, plain, problems, provider_table
from tests.generators.clusters import CLUSTER, DB, SECRET, SEEN_ONLY, WEB

VM = "proxmox_virtual_environment_vm"
CONTAINER = "proxmox_virtual_environment_container"
CODE = terraform(CLUSTER, endpoint="https://pve.example:8006/")
letters = st.characters(blacklist_categories=["Cs"])


def body(kind: str, name: str) -> Any:
    """Return what a resource of the cluster's project holds."""
    (found,) = [row for k, n, row in parse(CODE).resources if (k, n) == (kind, name)]
    return found


def needs_terraform() -> str:
    """Return the binary's path, or skip."""
    return shutil.which("terraform") or pytest.skip("terraform is not on PATH")


def test_a_whole_project_has_no_problem() -> None:
    assert problems(CODE) == []


def test_files_are_as_terraform_fmt_leaves_them(tmp_path: Path) -> None:
    binary = needs_terraform()
    (tmp_path / "terraform.tfvars").write_text(CODE["terraform.tfvars.example"], encoding="utf-8")
    write(tmp_path, CODE)
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [binary, "fmt", "-check", "-diff", "-recursive", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_vm_has_what_its_config_says() -> None:
    vm = body(VM, "web_1_101")
    assert vm["cpu"][0] | {"__is_block__": True} == {
        "cores": 2,
        "sockets": 1,
        "type": '"host"',
        "flags": ['"+aes"', '"-pcid"'],
        "numa": True,
        "limit": 1.5,
        "__is_block__": True,
    }
    assert (vm["memory"][0]["dedicated"], vm["memory"][0]["floating"]) == (2048, 1024)
    disk = vm["disk"][0]
    assert (plain(disk["interface"]), disk["size"], disk["ssd"]) == ("scsi0", 8, True)
    assert plain(vm["cdrom"][0]["file_id"]) == "local:iso/debian.iso"
    assert plain(vm["efi_disk"][0]["type"]) == "4m"
    assert plain(vm["startup"][0]["up_delay"]) == "30"
    cloud = vm["initialization"][0]
    assert plain(cloud["ip_config"][0]["ipv4"][0]["address"]) == "10.0.0.21/24"
    assert plain(cloud["user_account"][0]["username"]) == "admin"


def test_a_container_has_what_its_config_says() -> None:
    container = body(CONTAINER, "db_102")
    assert container["operating_system"][0]["template_file_id"] == (
        '${var.container_templates["debian"]}'
    )
    assert [plain(card["name"]) for card in container["network_interface"]] == ["eth0", "eth1"]
    assert [plain(mount["path"]) for mount in container["mount_point"]] == ["/srv", "/mnt"]
    assert container["features"][0]["nesting"] is True


def test_what_the_code_does_not_tell_is_named_in_a_comment() -> None:
    assert "left as it is: args, cipassword, scsi0 mbps_rd, sshkeys\n" in CODE["vms.tf"]
    assert "left as it is: lxc\n" in CODE["containers.tf"]


def test_of_a_guest_without_a_config_only_what_is_known_is_told() -> None:
    vm = body(VM, "seen_104")
    assert not {"disk", "network_device", "on_boot", "acpi"} & set(vm)
    assert {"disk", "on_boot"} <= set(vm["lifecycle"][0]["ignore_changes"])


def test_guests_are_imported_and_never_destroyed() -> None:
    assert (f"{VM}.web_1_101", "pve/101") in parse(CODE).imports
    assert all(
        row["lifecycle"][0]["prevent_destroy"]
        for _, _, row in parse(CODE).resources
        if "lifecycle" in row
    )
    assert CODE["vms.tf"].count("prevent_destroy") == 3  # every VM has it


def test_what_a_storage_needs_and_the_list_lacks_is_a_variable() -> None:
    nas = body("proxmox_storage_cifs", "nas")
    assert nas["password"] == "${var.storage_nas_password}"
    assert [plain(node) for node in nas["nodes"]] == ["pve"]
    assert "nodes" not in body("proxmox_storage_lvmthin", "local_lvm")
    variables = CODE["variables.tf"]
    (password,) = [part for part in variables.split("\n\n") if "storage_nas_password" in part]
    assert "sensitive" in password


def test_a_storage_without_a_resource_is_not_lost() -> None:
    assert 'other_storages = {\n    ceph = "rbd"\n' in CODE["storages.tf"]


def test_no_secret_is_in_any_file() -> None:
    assert [name for name, text in CODE.items() if SECRET in text] == []


def test_the_order_of_rows_changes_no_byte() -> None:
    turned = ClusterState.of(
        reversed(CLUSTER.nodes), reversed(CLUSTER.guests), reversed(CLUSTER.storages)
    )
    assert terraform(turned, endpoint="https://pve.example:8006/") == CODE


def test_an_empty_cluster_is_a_project_too() -> None:
    assert problems(terraform(ClusterState())) == []


@given(text=st.text(letters))
def test_any_text_is_a_literal_that_reads_back(text: str) -> None:
    code = {"main.tf": render(Block("resource", ("a", "b"), (Attribute("name", text),)))}
    ((_, _, found),) = parse(code).resources
    assert plain(found["name"]) == text
    assert "${" not in quote(text).replace("$${", "")


@given(
    name=st.text(letters), config=st.dictionaries(st.text(letters, max_size=8), st.text(letters))
)
def test_any_config_gives_a_project_that_parses(name: str, config: dict[str, str]) -> None:
    guest = GuestFacts("vm", 100, name, "pve", config=config)
    assert problems(terraform(ClusterState.of(guests=[guest]))) == []


@pytest.mark.parametrize("guest", [WEB, DB, SEEN_ONLY], ids=lambda guest: guest.name)
@pytest.mark.parametrize("value", ["", "=", ",,", "a=b=c", ":", "x:", ":x", "0", "-1", "\n"])
def test_a_broken_setting_breaks_no_file(guest: GuestFacts, value: str) -> None:
    config = dict.fromkeys([*WEB.config, *DB.config], value)
    broken = GuestFacts(guest.kind, guest.vmid, guest.name, guest.node, config=config)
    assert problems(terraform(ClusterState.of(guests=[broken]))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("cores ", "kores "), f"{VM}.web_1_101.cpu.kores: is no argument of the provider"),
        (("vm_id ", "vm_id = ="), 'syntax: "vms.tf" is no HCL'),
        (("  node_name     =", "  # node_name ="), f"{VM}.golden_103.node_name: is missing"),
        (('"web_1_101" {', '"1web" {'), f"{VM}.1web: is no name that Terraform accepts"),
        (
            ("  memory {", "  memories {"),
            f"{VM}.web_1_101.memories: is no argument of the provider",
        ),
        (('_vm" "golden_103"', '_vm" "web_1_101"'), f"{VM}.web_1_101: is there 2 times"),
    ],
    ids=["argument", "syntax", "required", "name", "block", "address"],
)
def test_validation_finds_what_is_wrong(change: tuple[str, str], problem: str) -> None:
    wrong = CODE | {"vms.tf": CODE["vms.tf"].replace(*change)}
    found = [str(item) for item in problems(wrong)]
    assert any(problem in text or text.startswith(problem) for text in found), found


def test_validation_wants_secrets_from_variables() -> None:
    told = CODE["storages.tf"].replace("var.storage_nas_password", '"swordfish"')
    assert {str(item) for item in problems(CODE | {"storages.tf": told})} == {
        "proxmox_storage_cifs.nas.password: is a secret and must come from a variable",
        "var.storage_nas_password: is declared and not used",
    }


def test_the_table_says_what_it_was_made_from() -> None:
    table = provider_table()
    assert table["source"].endswith("bpg/terraform-provider-proxmox")
    assert table["read"] >= "2026-11-22"
    assert table["revision"]
