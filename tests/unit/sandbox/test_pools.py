"""Pools: what names and comments stand for, and what needs no pools at all."""

from __future__ import annotations

import pytest

from pytest_proxmox.errors import RangeExhausted
from pytest_proxmox.sandbox.ground import WholeRange, merged
from pytest_proxmox.sandbox.pools import PoolRow, Tenant, block_of, successor
from pytest_proxmox.values import LeaseId, Vmid, VmidRange

SPAN = VmidRange.parse("9000-9019")
BLOCK = VmidRange.parse("9000-9009")
NONCE = LeaseId("n0123456789ab")


def test_a_tenant_is_read_as_it_was_written() -> None:
    tenant = Tenant("run-1", "host", NONCE, 1795290000)

    assert Tenant.parse(f" {tenant.render()}\n") == tenant


@pytest.mark.parametrize(
    "comment",
    ["", "mine", "pytest-proxmox run=x", "pytest-proxmox run=a host=b lease=n01 expires=1"],
    ids=["empty", "a person's", "half", "no lease"],
)
def test_another_comment_names_no_tenant(comment: str) -> None:
    assert Tenant.parse(comment) is None


def test_a_pools_name_says_what_it_stands_for() -> None:
    comment = Tenant("run-1", "host", NONCE, 5).render()

    block = PoolRow.parse("pytest/b9000-9009", "")
    lease = PoolRow.parse(f"pytest/b9000-9009/{NONCE}", comment)

    assert block == PoolRow("pytest/b9000-9009", BLOCK, None, None)
    assert lease == PoolRow(
        f"pytest/b9000-9009/{NONCE}", BLOCK, NONCE, Tenant("run-1", "host", NONCE, 5)
    )
    assert PoolRow.parse("pytest/team", "") is None


@pytest.mark.parametrize(
    ("vmid", "span"),
    [(9000, "9000-9009"), (9009, "9000-9009"), (9010, "9010-9019"), (999999999, None)],
    ids=["first", "last", "next", "the highest of all"],
)
def test_a_vmid_is_in_one_block_of_ten(vmid: int, span: str | None) -> None:
    assert str(block_of(vmid)) == (span or "999999990-999999999")


def test_the_successor_of_a_lease_is_the_same_for_everybody() -> None:
    assert successor(NONCE) == "n538e68b40577"
    assert successor(successor(NONCE)) not in (NONCE, successor(NONCE))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        (["9010-9019", "9000-9009"], ["9000-9019"]),
        (["9000-9008", "9010-9019"], ["9000-9008", "9010-9019"]),
        (["9000-9019", "9003-9004"], ["9000-9019"]),
    ],
    ids=["none", "neighbours", "a gap", "one inside the other"],
)
def test_neighbouring_spans_are_joined(spans: list[str], expected: list[str]) -> None:
    joined = merged(VmidRange.parse(span) for span in spans)

    assert [str(span) for span in joined] == expected


def test_the_whole_range_needs_no_pools() -> None:
    ground = WholeRange(SPAN)

    assert ground.spans() == [SPAN]
    assert ground.pool_of(Vmid(9000)) is None
    assert not ground.is_lost(Vmid(9000))
    assert ground.give_back() == []
    assert "VMID 9000" in str(ground.lost(Vmid(9000)))
    with pytest.raises(RangeExhausted, match=r"9000-9019\. "):
        ground.extend([SPAN])
    with pytest.raises(RangeExhausted, match="an empty range"):
        ground.extend([])
