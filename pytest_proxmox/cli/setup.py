"""``pytest-proxmox setup``: the pool, role, user and token that the sandbox works with."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_proxmox.cli import table
from pytest_proxmox.cli.target import open_target, settings_here
from pytest_proxmox.errors import ApiFailure, InvalidValue, ProxmoxTestError

if TYPE_CHECKING:
    from pytest_proxmox.config import Settings
    from pytest_proxmox.target.calls import Calls
    from pytest_proxmox.target.endpoint import Endpoint
    from pytest_proxmox.target.facts import TargetFacts
    from pytest_proxmox.target.provision import Step, Wish

COLUMNS = ("what", "state")
FORBIDDEN = 403


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own flags."""
    parser.description = (
        "Make what the sandbox works with on the Proxmox that PROXMOX_HOST names: a pool, a role, "
        "a user and a token that may touch nothing else. Log in as somebody who may do that, "
        "e.g. --as root@pam. The lines for .env.test go to standard output, all else to standard "
        "error: pytest-proxmox setup --as root@pam >> .env.test"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; print the commands for a root shell"
    )
    parser.add_argument(
        "--as",
        dest="login",
        metavar="USER",
        help="log in as this user; the password is PROXMOX_PASSWORD, else asked for",
    )
    parser.add_argument(
        "--storage",
        action="append",
        default=[],
        metavar="STORAGE",
        help="a storage that tests may use; may be repeated (default: those found)",
    )
    parser.add_argument("--user", default="pytest@pve", help="the user (default: %(default)s)")
    parser.add_argument("--token", default="ci", help="the token's name (default: %(default)s)")
    parser.add_argument(
        "--renew-token", action="store_true", help="replace the token: the old secret ends"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Make what is missing, and return 0; with ``--dry-run`` only say what would be made."""
    settings = settings_here()
    if args.dry_run and settings.host is None and settings.kind != "url":
        return _print_unseen(args, settings)
    calls, facts, endpoint = open_target(_as(settings, args.login))
    wish = _wish(args, settings, args.storage or _storages(facts))
    steps = _plan(calls, wish, args)
    if args.dry_run:
        _print_plan(steps, args)
        return 0
    secret = _carry_out(calls, steps, quiet=args.json)
    _tell(wish, endpoint, steps, secret, args)
    return 0


def _print_unseen(args: argparse.Namespace, settings: Settings) -> int:
    """Print all commands, where nobody named a Proxmox to look at."""
    from pytest_proxmox.target.provision import Found, plan

    if not args.storage:
        raise InvalidValue(
            "no Proxmox is named, so its storages are not known",
            hint="Set PROXMOX_HOST, or name them with --storage",
        )
    _print_plan(plan(_wish(args, settings, args.storage), Found()), args)
    return 0


def _as(settings: Settings, login: str | None) -> Settings:
    """The settings with another login: setup needs more rights than the tests do."""
    from dataclasses import replace

    from pytest_proxmox import spellings

    if login is None:
        return settings
    account = spellings.account(login, "option --as")
    password = os.environ.get("PROXMOX_PASSWORD")
    if not password:
        if not sys.stdin.isatty():
            raise InvalidValue(
                f"no password for {login}", hint="Set PROXMOX_PASSWORD for this command only"
            )
        password = getpass.getpass(f"Password of {login}: ", stream=sys.stderr)
    return replace(
        settings,
        user=account.user or settings.user,
        password=password,
        token_name=None,
        token_value=None,
    )


def _storages(facts: TargetFacts) -> list[str]:
    """Those that tests use by default: for disks, for backups, and the template's."""
    template = (facts.template or "").partition(":")[0]
    return sorted({facts.storage, facts.backup_storage or "", template} - {""})


def _wish(args: argparse.Namespace, settings: Settings, storages: Sequence[str]) -> Wish:
    from pytest_proxmox import spellings
    from pytest_proxmox.target.provision import Wish

    for storage in storages:
        spellings.storage(storage, "option --storage")
    if spellings.account(args.user, "option --user").token_name is not None:
        raise InvalidValue(
            f'"{args.user}" is a token', origin="option --user", hint="Give its name with --token"
        )
    if "@" in args.token:
        raise InvalidValue(
            f'"{args.token}" is no token\'s name', origin="option --token", hint="E.g. ci"
        )
    spellings.token_name(args.token, "option --token")
    return Wish(settings.pool, tuple(storages), args.user, args.token)


def _plan(calls: Calls, wish: Wish, args: argparse.Namespace) -> list[Step]:
    from pytest_proxmox.target.provision import look, plan

    return plan(wish, look(calls, wish), renew_token=args.renew_token)


def _print_plan(steps: Sequence[Step], args: argparse.Namespace) -> None:
    if args.json:
        rows = [{"what": s.what, "state": s.state, "command": s.command} for s in steps]
        print(json.dumps(rows, indent=2))
        return
    table.show(COLUMNS, [(step.what, step.state) for step in steps], file=sys.stderr)
    missing = [step for step in steps if not step.is_done]
    if not missing:
        print("Nothing to do.", file=sys.stderr)
        return
    print("\nNothing was changed. In a root shell of the node this would do it:", file=sys.stderr)
    for step in missing:
        print(step.command)


def _carry_out(calls: Calls, steps: Sequence[Step], *, quiet: bool) -> str | None:
    """Do what is missing, each step told as it is done; the token's secret, where one was made."""
    from pytest_proxmox.target.provision import carry_out

    secret = None
    width = max(len(step.what) for step in steps)
    for step in steps:
        said = "was there"
        if not step.is_done:
            try:
                secret = carry_out(calls, step) or secret
            except ApiFailure as exc:
                if exc.status == FORBIDDEN:
                    raise InvalidValue(
                        f"this login may not make {step.what}: {exc.text}",
                        hint="Log in as somebody who may, e.g. --as root@pam",
                    ) from exc
                raise ProxmoxTestError(
                    f"{step.what}: {exc}. What was made before stays",
                    hint=f"Run setup again, or in a root shell of the node: {step.command}",
                ) from exc
            said = "done"
        if not quiet:
            print(f"{step.what.ljust(width)}  {said}", file=sys.stderr)
    return secret


def _tell(
    wish: Wish,
    endpoint: Endpoint,
    steps: Sequence[Step],
    secret: str | None,
    args: argparse.Namespace,
) -> None:
    values = {
        "PROXMOX_HOST": endpoint.host,
        "PROXMOX_PORT": str(endpoint.port),
        "PROXMOX_TOKEN_NAME": wish.token_id,
        "PROXMOX_TOKEN_VALUE": secret,
    }
    if endpoint.ca_file is not None or not endpoint.verify_ssl:
        values["PROXMOX_VERIFY_SSL"] = str(endpoint.ca_file or "false")
    if args.json:
        made = [step.what for step in steps if not step.is_done]
        print(json.dumps({"made": made, "environment": values}, indent=2))
        return
    if secret is None:
        print(
            f"Token {wish.token_id} was there already, and a token's secret is shown only once. "
            "Lost? pytest-proxmox setup --renew-token",
            file=sys.stderr,
        )
        return
    print("\nFor .env.test (keep it out of git), shown this once:", file=sys.stderr)
    for name, value in values.items():
        print(f"{name}={value}")
