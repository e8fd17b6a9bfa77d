"""The command: ``python -m lab new web``, ``list``, ``remove 100``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from proxmoxer import ProxmoxAPI

from lab.containers import Lab, LabError


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code: 1 where Proxmox did not do it."""
    args = _parser().parse_args(argv)
    try:
        lab = Lab(_client(environ), environ.get("PROXMOX_NODE", "pve"))
        if args.command == "list":
            for row in lab.all():
                print(row["vmid"], row["name"], row["status"])
        elif args.command == "remove":
            lab.remove(args.vmid)
        else:
            print(lab.new(args.name, args.vmid, template=args.template, storage=args.storage))
    except LabError as exc:
        print(f"lab: {exc}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the containers")
    new = commands.add_parser("new", help="make a container, start it, and print its id")
    new.add_argument("name")
    new.add_argument("--vmid", type=int, help="default: the lowest that is free")
    new.add_argument("--template", required=True)
    new.add_argument("--storage", default="local-lvm")
    remove = commands.add_parser("remove", help="destroy a container")
    remove.add_argument("vmid", type=int)
    return parser


def _client(environ: Mapping[str, str]) -> ProxmoxAPI:
    verify = environ.get("PROXMOX_VERIFY_SSL", "true")
    return ProxmoxAPI(
        environ["PROXMOX_HOST"],
        user=environ["PROXMOX_USER"],
        password=environ["PROXMOX_PASSWORD"],
        verify_ssl={"true": True, "false": False}.get(verify, verify),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
