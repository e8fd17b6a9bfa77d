"""Proxmox's values: parsed once, rendered as PVE writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.values import (
    BLOCK_SIZE,
    VMID_MAX,
    VMID_MIN,
    GuestRef,
    LeaseId,
    NodeName,
    Upid,
    Vmid,
    VmidRange,
    Volid,
    parse_kind,
)

numbers = st.integers(min_value=VMID_MIN, max_value=VMID_MAX)
words = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)


@given(numbers)
def test_vmid_survives_its_own_text(number: int) -> None:
    assert Vmid.parse(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "99",
        "1000000000",
        "-100",
        "9000 ",
        " 9000",
        "9e3",
        "vm-9000",
        "9000.0",
        "9_000",
        "+9000",
    ],
)
def test_vmid_outside_the_limits_is_refused_with_its_origin(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"is not a VMID \(a test\)\. Use 100 to 999999999"):
        Vmid.parse(text, origin="a test")


@given(st.text())
def test_vmid_of_any_text_is_a_vmid_or_an_invalid_value(text: str) -> None:
    try:
        vmid = Vmid.parse(text)
    except InvalidValue:
        return
    assert VMID_MIN <= vmid <= VMID_MAX


@given(numbers, numbers)
def test_range_survives_its_own_text(one: int, other: int) -> None:
    first, last = sorted((one, other))
    span = VmidRange.parse(f"{first}-{last}")
    assert VmidRange.parse(str(span)) == span
    assert len(span) == last - first + 1


def test_reversed_range_names_values_origin_and_remedy() -> None:
    with pytest.raises(InvalidValue) as caught:
        VmidRange.parse("9000-8000", origin="ini key proxmox_vmid_range, tox.ini")
    assert str(caught.value) == (
        'VMID range "9000-8000" is empty (ini key proxmox_vmid_range, tox.ini). '
        "Give the lower number first, e.g. 8000-9000"
    )


@pytest.mark.parametrize("text", ["", "9000", "9000-", "-9000", "9000..9010", "9000-9010-9020"])
def test_range_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        VmidRange.parse(text)


def test_range_holds_both_ends_and_nothing_else() -> None:
    span = VmidRange.parse("9000-9002")
    assert list(span) == [9000, 9001, 9002]
    assert 9000 in span
    assert 9002 in span
    assert 9003 not in span
    assert "9000" not in span


@given(numbers, st.integers(min_value=0, max_value=300))
def test_blocks_cover_the_range_once_and_stay_inside_one_ten(first: int, more: int) -> None:
    span = VmidRange(Vmid(first), Vmid(min(first + more, VMID_MAX)))
    blocks = list(span.blocks())
    assert [vmid for block in blocks for vmid in block] == list(span)
    assert all(block.first // BLOCK_SIZE == block.last // BLOCK_SIZE for block in blocks)


@pytest.mark.parametrize("text", ["pve", "pve1", "a", "node-7", "PVE"])
def test_node_name_is_kept_as_it_is(text: str) -> None:
    assert NodeName.parse(text) == text


@pytest.mark.parametrize("text", ["", "-pve", "pve-", "pve.lan", "pve/..", "p ve", "pvé"])
def test_node_name_that_pve_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a node name"):
        NodeName.parse(text)


def test_guest_ref_renders_its_path() -> None:
    ref = GuestRef(Vmid(9000), "lxc", NodeName("pve"))
    assert ref.path == "/nodes/pve/lxc/9000"
    assert str(ref) == "lxc/9000 on pve"


eight_digits = st.integers(min_value=0, max_value=0xFFFFFFFF)


@given(words, eight_digits, st.integers(0, 0xFFFFFFFFF), eight_digits, words, words)
def test_upid_survives_its_own_text(
    node: str, pid: int, pstart: int, start: int, kind: str, vmid: str
) -> None:
    upid = Upid(NodeName(node), pid, pstart, start, kind, vmid, "root@pam!ci")
    assert Upid.parse(str(upid)) == upid


def test_upid_reads_what_a_node_writes() -> None:
    upid = Upid.parse("UPID:pve1:0000C53A:001E2F6B:6920A1B2:vzcreate:9001:root@pam!ci:")
    assert (upid.node, upid.type, upid.id, upid.user) == ("pve1", "vzcreate", "9001", "root@pam!ci")
    assert upid.starttime == 0x6920A1B2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPID:",
        "UPID:pve:1:2:3:vzcreate:9001:root@pam:",
        "UPID:pve1:0000C53A:001E2F6B:6920A1B2:vzcreate:9001:root@pam",
        "OK",
    ],
    ids=["empty", "prefix only", "short numbers", "no last colon", "a status"],
)
def test_upid_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a UPID"):
        Upid.parse(text)


@given(words, words)
def test_volid_survives_its_own_text(storage: str, name: str) -> None:
    volid = Volid(storage, f"vztmpl/{name}.tar.xz")
    assert Volid.parse(str(volid)) == volid


@pytest.mark.parametrize("text", ["", "local", "local:", ":x", "local:a b", "1local:x"])
def test_volid_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a volume id"):
        Volid.parse(text)


def test_lease_ids_differ_and_can_be_a_part_of_a_pool_name() -> None:
    made = {LeaseId.new() for _ in range(100)}
    assert len(made) == 100
    assert all(LeaseId.parse(str(lease)) == lease and lease[0].isalpha() for lease in made)


@pytest.mark.parametrize("text", ["", "n", "n12345678901", "N123456789012", "n12345678901g"])
def test_lease_id_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is not a lease id"):
        LeaseId.parse(text)


@pytest.mark.parametrize("text", ["lxc", "qemu"])
def test_kind_is_one_of_two(text: str) -> None:
    assert parse_kind(text) == text


def test_any_other_kind_is_refused() -> None:
    with pytest.raises(InvalidValue, match="Use lxc or qemu"):
        parse_kind("openvz")
