"""``setup`` makes the least rights, says what it does, and its token can do no harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import proxmoxer
import pytest
from proxmoxer.core import ResourceException

from pytest_proxmox.cli.main import main
from pytest_proxmox.simulator.server import Server
from pytest_proxmox.target.rights import PRIVILEGES

SETUP = ["setup", "--as", "root@pam"]


def set_up(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    """Run setup and return the lines that it gives for ``.env.test``."""
    assert main([*SETUP, *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    return dict(line.split("=", 1) for line in lines)


def client(server: Server, values: dict[str, str]) -> Any:
    """Return a client that has the token which setup made."""
    user, _, name = values["PROXMOX_TOKEN_NAME"].partition("!")
    return proxmoxer.ProxmoxAPI(
        "127.0.0.1",
        port=server.port,
        user=user,
        token_name=name,
        token_value=values["PROXMOX_TOKEN_VALUE"],
        verify_ssl=str(server.ca_file),
    )


def test_token_of_setup_gets_403_on_a_foreign_guest(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = server.simulator.plant(vmid=9001, type="lxc", node="pve", config={})
    api = client(server, set_up(capsys))
    for ask in (
        api.nodes("pve").lxc(9001).delete,
        api.nodes("pve").lxc(9001).config.get,
        api.nodes("pve").lxc(9001).status.start.post,
    ):
        with pytest.raises(ResourceException, match="403 Forbidden"):
            ask()
    assert server.simulator.guest(9001) == theirs


def test_token_of_setup_is_enough_for_a_run(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in set_up(capsys).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PROXMOX_PASSWORD")
    assert main(["doctor", "--json"]) == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert {row["state"] for row in rows.values()} <= {"ok", "skip"}
    assert "no more" in rows["rights"]["found"]


def test_setup_twice_changes_nothing_and_keeps_the_token(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    values = set_up(capsys)
    assert main(SETUP) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "--renew-token" in said.err
    assert "done" not in said.err
    assert client(server, values).version.get()["version"]


def test_renewed_token_works_and_the_old_one_ends(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    old = set_up(capsys)
    new = set_up(capsys, "--renew-token")
    assert client(server, new).pools.get() == [{"poolid": "pytest", "comment": POOL_COMMENT}]
    with pytest.raises(ResourceException, match="401"):
        client(server, old).version.get()


POOL_COMMENT = "leases of pytest-proxmox"


def test_role_with_other_privileges_is_put_right(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(capsys)
    root = proxmoxer.ProxmoxAPI(
        "127.0.0.1",
        port=server.port,
        user="root@pam",
        password=server.simulator.credentials.password,
        verify_ssl=str(server.ca_file),
    )
    root.access.roles("PytestSandbox").put(privs="VM.Audit,Sys.Modify")
    assert main(SETUP) == 0
    assert set(root.access.roles("PytestSandbox").get()) == set(PRIVILEGES)


def test_dry_run_changes_nothing_and_prints_the_commands(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SETUP, "--dry-run"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"pveum pool add pytest --comment '{POOL_COMMENT}'"
    assert "pveum user token add pytest@pve ci --privsep 1" in out
    assert "pytest" not in set(server.simulator.state.pools)
    assert main([*SETUP, "--dry-run", "--json"]) == 0
    states = {row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states == {"to do"}


def test_dry_run_needs_no_proxmox_where_storages_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", "--dry-run", "--storage", "fast"]) == 0
    assert "pveum acl modify /storage/fast --users pytest@pve" in capsys.readouterr().out
    assert main(["setup", "--dry-run"]) == 2
    assert "--storage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--storage", "nope"], 'there is no storage "nope" (option --storage)'),
        (["--storage", "a b"], '"a b" is not the name of a storage'),
        (["--user", "nobody"], '"nobody" is not a Proxmox user (option --user)'),
        (["--user", "a@pve!b"], '"a@pve!b" is a token (option --user)'),
        (["--token", "a b"], '"a b" is not a token\'s name (option --token)'),
    ],
    ids=["no such storage", "storage", "user", "user is a token", "token"],
)
def test_bad_input_is_one_line(
    server: Server, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SETUP, *argv]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_login_without_rights_is_told_so(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in set_up(capsys).items():
        monkeypatch.setenv(name, value)
    assert main(["setup"]) == 2
    assert "--as root@pam" in capsys.readouterr().err


def test_password_is_asked_for_or_demanded(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROXMOX_PASSWORD")
    assert main(SETUP) == 2
    assert "Set PROXMOX_PASSWORD" in capsys.readouterr().err
