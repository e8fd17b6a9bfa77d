"""Declared checks: what they ask for, and what they say when it is missing."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_proxmox.simulator.checks import Checks, filled
from pytest_proxmox.simulator.identity import Auth
from pytest_proxmox.simulator.permissions import Permissions
from pytest_proxmox.simulator.state import AclEntry, State, User
from pytest_proxmox.simulator.wire import PveError

JOE = Auth("joe@pve")
MAY_LOOK = ["perm", "/vms/{vmid}", ["VM.Audit"]]
MAY_START = ["perm", "/vms/{vmid}", ["VM.PowerMgmt"]]
MAY_MAKE = ["perm", "/vms/{vmid}", ["VM.Allocate"]]


@pytest.fixture
def state() -> State:
    """A state in which joe is a user of all guests and a manager of the group dev."""
    state = State()
    state.users["joe@pve"] = User("joe@pve")
    for path, role in (("/vms", "PVEVMUser"), ("/access/groups/dev", "PVEUserAdmin")):
        state.acls[path, "user", "joe@pve", role] = AclEntry(path, "user", "joe@pve", role)
    return state


def judged(state: State, check: list[Any], **params: Any) -> str:
    """Return what a check says to joe, nothing if it passes."""
    try:
        Checks(Permissions(state), state).judge(JOE, check, {"vmid": 100} | params)
    except PveError as error:
        return f"{error.status} {error.message}"
    return ""


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (MAY_LOOK, ""),
        (MAY_MAKE, "403 Permission check failed (/vms/100, VM.Allocate)"),
        (["perm", "/vms/{vmid}", ["VM.Allocate", "VM.Audit"], "any", 1], ""),
        (
            ["perm", "/vms/{vmid}", ["VM.Allocate", "VM.Audit"]],
            "403 Permission check failed (/vms/100, VM.Allocate|VM.Audit)",
        ),
        (["and", MAY_LOOK, MAY_START], ""),
        (["and", MAY_LOOK, MAY_MAKE], "403 Permission check failed (/vms/100, VM.Allocate)"),
        (["or", MAY_MAKE, MAY_LOOK], ""),
        (["or", MAY_MAKE, MAY_MAKE], "403 Permission check failed"),
        (["userid-param", "self"], ""),
        (["perm", "/", ["Sys.Audit"], "require_param", "nothing"], "403 Permission check failed"),
    ],
    ids=["perm", "lacks", "any", "all", "and", "and-lacks", "or", "or-lacks", "self", "parameter"],
)
def test_checks_ask_for_what_they_declare(state: State, check: list[Any], said: str) -> None:
    assert judged(state, check, userid="joe@pve") == said


@pytest.mark.parametrize(
    ("userid", "said"),
    [
        ("x", "500 user name 'x' is too short"),
        ("u" * 65, f"500 user name '{'u' * 65}' is too long (65 > 64)"),
        ("no realm", "500 value 'no realm' does not look like a valid user name"),
        ("ann@pve", "403 Permission check failed"),
    ],
    ids=["short", "long", "no-realm", "somebody-else"],
)
def test_a_users_name_is_looked_at_before_rights(state: State, userid: str, said: str) -> None:
    assert judged(state, ["or", ["userid-param", "self"]], userid=userid) == said


@pytest.mark.parametrize(
    ("groups", "mode", "passes"),
    [("dev", "create", True), ("dev,ops", "create", False), ("", "create", False)],
    ids=["own", "one-too-many", "none"],
)
def test_a_manager_of_a_group_makes_users_in_it(
    state: State, groups: str, mode: str, passes: bool
) -> None:
    check = ["userid-group", ["User.Modify"], "groups_param", mode]
    said = judged(state, check, userid="new@pve", groups=groups)
    assert (said == "") is passes


def test_a_manager_of_a_group_looks_after_its_members(state: State) -> None:
    check = ["userid-group", ["User.Modify"]]
    state.users["ann@pve"] = User("ann@pve", groups=("dev",))
    state.users["bob@pve"] = User("bob@pve", groups=("ops",))
    assert judged(state, check, userid="ann@pve") == ""
    assert judged(state, check, userid="bob@pve").startswith("403 ")


@pytest.mark.parametrize(
    ("template", "params", "path"),
    [
        ("/pool/{poolid}", {"poolid": "a/b"}, "/pool/a/b"),
        ("/pool/{poolid}", {}, "/pool/-"),
        ("/pool/{poolid}", {"poolid": "a b"}, ""),
        ("/vms/{vmid}", {"vmid": "abc"}, "/vms/abc"),
        ("/nodes/{node}", {"node": "{node}"}, "/nodes/{node}"),
    ],
    ids=["nested", "missing", "malformed", "any-word", "no-second-round"],
)
def test_a_path_is_filled_from_the_parameters(
    template: str, params: dict[str, str], path: str
) -> None:
    assert filled(template, params) == path
