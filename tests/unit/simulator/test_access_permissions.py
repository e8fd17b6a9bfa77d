"""Permissions are remembered, and forgotten when what they rest on changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_proxmox.simulator.identity import NOBODY, Auth
from pytest_proxmox.simulator.permissions import Permissions, levels
from pytest_proxmox.simulator.state import AclEntry, Pool, State, Token, User
from pytest_proxmox.simulator.wire import PveError

JOE = Auth("joe@pve")
TOKEN = Auth("joe@pve", "ci")


@pytest.fixture
def state() -> State:
    """A state in which joe may look at all guests."""
    state = State()
    state.users["joe@pve"] = User("joe@pve")
    give(state, "/vms", "PVEVMUser")
    return state


def give(state: State, path: str, role: str, *, kind: str = "user", to: str = "joe@pve") -> None:
    state.acls[path, kind, to, role] = AclEntry(path, kind, to, role)


def looks(permissions: Permissions, auth: Auth, path: str = "/vms/100") -> bool:
    return permissions.may(auth, path, ["VM.Audit"])


def test_root_may_everything_and_nobody_nothing(state: State) -> None:
    permissions = Permissions(state)
    assert looks(permissions, Auth("root@pam"), "/anything")
    assert not looks(permissions, NOBODY)


def test_the_same_question_is_answered_from_memory(state: State) -> None:
    permissions = Permissions(state)
    first = permissions.privileges(JOE, "/vms/100")
    assert permissions.privileges(JOE, "/vms/100") is first


def test_an_answer_is_forgotten_when_the_acl_changes(state: State) -> None:
    permissions = Permissions(state)
    assert looks(permissions, JOE)
    state.acls.pop(("/vms", "user", "joe@pve", "PVEVMUser"))
    assert not looks(permissions, JOE)


def test_an_answer_is_forgotten_when_groups_change(state: State) -> None:
    permissions = Permissions(state)
    give(state, "/nodes", "PVESysAdmin", kind="group", to="ops")
    assert not permissions.may(JOE, "/nodes/pve", ["Sys.Audit"])
    state.users["joe@pve"] = replace(state.users["joe@pve"], groups=("ops",))
    assert permissions.may(JOE, "/nodes/pve", ["Sys.Audit"])


def test_an_answer_is_forgotten_when_a_pool_changes(state: State) -> None:
    permissions = Permissions(state)
    state.pools["p"] = Pool("p")
    give(state, "/pool/p", "PVEDatastoreUser")
    assert not permissions.may(JOE, "/storage/local", ["Datastore.Audit"])
    state.pools["p"] = Pool("p", storages=("local",))
    assert permissions.may(JOE, "/storage/local", ["Datastore.Audit"])


def test_an_answer_is_forgotten_when_a_snapshot_comes_back(state: State) -> None:
    permissions = Permissions(state)
    before = state.store.snapshot()
    give(state, "/vms/100", "NoAccess")
    assert not looks(permissions, JOE)
    state.store.restore(before)
    assert looks(permissions, JOE)


def test_a_separated_token_has_what_both_have(state: State) -> None:
    permissions = Permissions(state)
    state.tokens["joe@pve!ci"] = Token("joe@pve!ci", "s")
    assert not looks(permissions, TOKEN)
    give(state, "/vms", "PVEVMAdmin", kind="token", to="joe@pve!ci")
    assert looks(permissions, TOKEN)
    assert not permissions.may(TOKEN, "/vms/100", ["VM.Allocate"])


def test_a_token_that_became_full_has_all_its_user_has(state: State) -> None:
    permissions = Permissions(state)
    state.tokens["joe@pve!ci"] = Token("joe@pve!ci", "s")
    assert not looks(permissions, TOKEN)
    state.tokens["joe@pve!ci"] = Token("joe@pve!ci", "s", privsep=False)
    assert looks(permissions, TOKEN)


def test_a_full_token_of_root_is_unlimited_but_not_root_itself(state: State) -> None:
    permissions = Permissions(state)
    auth = Auth("root@pam", "ci")
    state.tokens["root@pam!ci"] = Token("root@pam!ci", "s", privsep=False)
    assert permissions.is_unlimited(auth)
    assert not auth.is_root_ticket
    state.tokens["root@pam!ci"] = Token("root@pam!ci", "s")
    assert not permissions.is_unlimited(auth)


def test_a_listing_names_pools_and_what_is_in_them(state: State) -> None:
    permissions = Permissions(state)
    state.pools["p"] = Pool("p", storages=("local",))
    state.members[100] = "p"
    give(state, "/pool/p", "PVEDatastoreUser")
    assert set(permissions.effective(JOE)) == {"/pool/p", "/storage/local", "/vms", "/vms/100"}


def test_a_refusal_names_path_and_privileges(state: State) -> None:
    with pytest.raises(PveError) as refused:
        Permissions(state).require(JOE, "/nodes/pve", "Sys.Audit", "Sys.Modify", either=True)
    assert (refused.value.status, refused.value.message) == (
        403,
        "Permission check failed (/nodes/pve, Sys.Audit|Sys.Modify)",
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ["/"]),
        ("/vms/100", ["/", "/vms", "/vms/100"]),
        ("/pool/a/b", ["/", "/pool", "/pool/a", "/pool/a/b"]),
    ],
)
def test_a_path_has_levels(path: str, expected: list[str]) -> None:
    assert levels(path) == expected
