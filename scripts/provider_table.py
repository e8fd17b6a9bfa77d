"""Makes src_app/iac/provider.json: the arguments of the bpg provider, read from its public docs.

    python scripts/provider_table.py CHECKOUT --revision TEXT [--date YYYY-MM-DD]

CHECKOUT is a folder with the provider's ``docs/index.md`` and ``docs/resources/*.md``. Only names
are taken, and whether an argument is required, secret or a block: facts, no prose.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "src_app" / "iac" / "provider.json"
SOURCE = "docs/ of github.com/bpg/terraform-provider-proxmox"
PAGES = {  # the resources that are generated: the page of each, and what it is called
    "virtual_environment_vm": "proxmox_virtual_environment_vm",
    "virtual_environment_container": "proxmox_virtual_environment_container",
    "storage_directory": "proxmox_storage_directory",
    "storage_nfs": "proxmox_storage_nfs",
    "storage_cifs": "proxmox_storage_cifs",
    "storage_pbs": "proxmox_storage_pbs",
    "storage_zfspool": "proxmox_storage_zfspool",
    "storage_lvm": "proxmox_storage_lvm",
    "storage_lvmthin": "proxmox_storage_lvmthin",
}
# Two bullets of one page lack the space before the dash.
_BULLET = re.compile(r"^(?P<indent> *)-\s*`(?P<name>[a-z][a-z0-9_]*)`(?P<rest>.*)$")
_MARK = re.compile(r"\((Optional|Required|Boolean)\b")
_SCHEMA_LINE = re.compile(r"^- `(?P<name>\w+)` \((?P<type>[^)]*)\)")
_NESTED = re.compile(r"^### Nested Schema for `(?P<path>[\w.]+)`")


@dataclass
class Argument:
    """An argument of a page, with what is indented below it."""

    name: str
    indent: int
    rest: str
    children: list[Argument] = field(default_factory=list)

    def fact(self) -> dict[str, Any]:
        """Return what the table says of it."""
        found: dict[str, Any] = {}
        if "(Required)" in self.rest:
            found["required"] = True
        if self.name in {"password", "api_token", "otp"}:
            found["secret"] = True
        if block := facts(self.children):
            found["block"] = block
        return found


def facts(arguments: Sequence[Argument]) -> dict[str, Any]:
    """Return siblings as a table; values that an argument may take are siblings without marks."""
    if not any(_MARK.search(argument.rest) for argument in arguments):
        return {}
    return {argument.name: argument.fact() for argument in arguments}


def from_list(text: str) -> dict[str, Any]:
    """Return the arguments of a page that was written by hand: a nested list."""
    section = text.partition("## Argument Reference")[2].partition("\n## ")[0]
    root = Argument("", -1, "")
    path = [root]
    for line in section.splitlines():
        if found := _BULLET.match(line):
            argument = Argument(found["name"], len(found["indent"]), found["rest"])
            while path[-1].indent >= argument.indent:
                path.pop()
            path[-1].children.append(argument)
            path.append(argument)
    return facts(root.children)


def from_schema(text: str) -> dict[str, Any]:
    """Return the arguments of a page that was made from the provider's schema."""
    table: dict[str, Any] = {}
    target, heading = table, ""
    for line in text.partition("## Schema")[2].splitlines():
        if line.startswith("## "):
            break
        if nested := _NESTED.match(line):
            target, heading = table, ""
            for name in nested["path"].split("."):
                target = target.setdefault(name, {}).setdefault("block", {})
        elif line.startswith("### ") or line.rstrip() in {"Required:", "Optional:", "Read-Only:"}:
            heading = line.strip("# :")
        elif (row := _SCHEMA_LINE.match(line)) and heading != "Read-Only":
            fact = {"required": True} if heading == "Required" else {}
            fact |= {"secret": True} if "Sensitive" in row["type"] else {}
            target.setdefault(row["name"], {}).update(fact)
    return table


def read(checkout: Path) -> dict[str, Any]:
    """Return the table of a checkout's docs, by resource."""
    resources = {}
    for page, name in PAGES.items():
        text = (checkout / "docs" / "resources" / f"{page}.md").read_text(encoding="utf-8")
        found = from_schema(text) if "\n## Schema" in text else from_list(text)
        if not found:
            raise SystemExit(f"{page}.md has no arguments that can be read")
        resources[name] = found
    provider = from_list((checkout / "docs" / "index.md").read_text(encoding="utf-8"))
    return {"provider": provider, "resources": resources}


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--revision", required=True, help="what was read: a tag or a commit")
    parser.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat())
    given = parser.parse_args()
    head = {"source": SOURCE, "revision": given.revision, "read": given.date}
    text = json.dumps(head | read(given.checkout), indent=1, sort_keys=True)
    TABLE.write_text(text + "\n", encoding="utf-8")
    print(f"{TABLE.name}: {len(PAGES)} resources")


if __name__ == "__main__":
    main()
