"""Ownership: each proof, each contradiction, and never by VMID alone."""

from __future__ import annotations

import pytest

from pytest_proxmox.errors import ForeignGuest
from pytest_proxmox.sandbox.baseline import Baseline
from pytest_proxmox.sandbox.lease import Lease, State
from pytest_proxmox.sandbox.ownership import Identity, Mark, Proof, Sighting, prove
from pytest_proxmox.values import GuestRef, LeaseId, NodeName, Upid, Vmid

MINE = LeaseId("n0123456789ab")
STRANGER = LeaseId("nffffffffffff")
OUR_MARK = str(Mark(MINE, "run"))
SIBLINGS_MARK = str(Mark(LeaseId("nabcdef012345"), "run"))
STRANGERS_MARK = str(Mark(STRANGER, "run-2"))
POOL = f"pytest/b9000-9009/{MINE}"
US = "pt@pve!ci"
REF = GuestRef(Vmid(9001), "lxc", NodeName("pve"))


def task(start: int, *, user: str = US, kind: str = "vzcreate", pid: int = 1) -> Upid:
    """A making task of 9001 on node pve."""
    return Upid(NodeName("pve"), pid, pid, start, kind, "9001", user)


BASELINE = Baseline.of({NodeName("pve"): [task(90), task(100, pid=7)]})
IDENTITY = Identity(US, "run", BASELINE)


def lease(**facts: object) -> Lease:
    """A lease on 9001 that the sandbox made."""
    base = Lease(MINE, "https://pve", Vmid(9001), "run", "main", State.LIVE, "sandbox", "lxc")
    values = {name: getattr(base, name) for name in Lease.__slots__} | facts
    return Lease(**values)


@pytest.mark.parametrize(
    ("held", "seen", "proof"),
    [
        pytest.param(lease(pool=POOL), Sighting(REF, pool=POOL), Proof.POOL, id="our pool"),
        pytest.param(
            lease(), Sighting(REF, description=f"hi\n\n{OUR_MARK}\n"), Proof.DESCRIPTION,
            id="our mark in the description",
        ),
        pytest.param(
            lease(), Sighting(REF, description=OUR_MARK, pool="prod"), Proof.DESCRIPTION,
            id="our mark, in a pool that the test chose",
        ),
        pytest.param(
            lease(upid=task(101)), Sighting(REF, lock="create", makers=(task(101),)), Proof.TASK,
            id="half-made by the task that our POST started",
        ),
        pytest.param(
            lease(), Sighting(REF, lock="create", makers=(task(101),)), Proof.TASK,
            id="half-made by us, the answer was lost",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(101),)), Proof.TASK,
            id="made by the test",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(100, pid=8),)), Proof.TASK,
            id="made by the test in the second in which the run looked round",
        ),
        pytest.param(
            lease(maker="test"),
            Sighting(REF, description=SIBLINGS_MARK, makers=(task(101, kind="vzclone"),)),
            Proof.TASK,
            id="cloned by the test from another of our guests",
        ),
        pytest.param(
            lease(upid=task(101)), Sighting(REF, makers=(task(101), task(105, kind="vzrestore"))),
            Proof.TASK,
            id="restored in place by the test",
        ),
    ],
)  # fmt: skip
def test_a_guest_is_ours_by(held: Lease, seen: Sighting, proof: Proof) -> None:
    assert prove(held, seen, IDENTITY) is proof


@pytest.mark.parametrize(
    ("held", "seen", "reason"),
    [
        pytest.param(lease(), Sighting(REF), "no task of ours", id="nothing but the VMID"),
        pytest.param(
            lease(), Sighting(REF, description=STRANGERS_MARK), "of another run",
            id="a stranger's mark",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, description=STRANGERS_MARK, makers=(task(101),)),
            "of another run",
            id="our task, but a stranger's mark",
        ),
        pytest.param(
            lease(pool=POOL), Sighting(REF, pool=f"pytest/b9000-9009/{STRANGER}"),
            "another lease's pool",
            id="a stranger's lease pool",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(101, user="root@pam"),)),
            "made by root@pam",
            id="made by somebody else",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(101, user="pt@pve"),)),
            "made by pt@pve",
            id="made by our user without our token",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(100, pid=7),)), "before this run",
            id="made by us before this run",
        ),
        pytest.param(
            lease(maker="test"), Sighting(REF, makers=(task(101), task(102, user="root@pam"))),
            "made by root@pam",
            id="ours once, made again by somebody else",
        ),
        pytest.param(
            lease(), Sighting(REF, makers=(task(101),)), "does not carry the mark",
            id="whole, by our token, without the mark of a POST that was never answered",
        ),
    ],
)  # fmt: skip
def test_a_guest_is_foreign(held: Lease, seen: Sighting, reason: str) -> None:
    with pytest.raises(ForeignGuest, match=reason):
        prove(held, seen, IDENTITY)


def test_a_node_that_the_run_did_not_see_proves_nothing() -> None:
    elsewhere = Upid(NodeName("pve9"), 1, 1, 500, "vzcreate", "9001", US)

    with pytest.raises(ForeignGuest, match="before this run"):
        prove(lease(maker="test"), Sighting(REF, makers=(elsewhere,)), IDENTITY)


def test_a_baseline_is_read_back_as_it_was_written() -> None:
    assert Baseline.parse(BASELINE.render()) == BASELINE
    assert Baseline.parse(Baseline({}).render()) == Baseline({})


def test_everything_is_after_the_baseline_of_an_empty_node() -> None:
    assert Baseline.of({NodeName("pve"): []}).is_before(task(1))
