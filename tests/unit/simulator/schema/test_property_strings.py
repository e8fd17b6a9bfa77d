"""Property strings become values and values property strings, as PVE writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.simulator.schema import (
    load,
    parse_property_string,
    print_property_string,
    properties,
    render,
)
from pytest_proxmox.simulator.schema.catalog import Method
from pytest_proxmox.simulator.schema.named_layouts import LAYOUTS

MAC = "BC:24:11:00:00:01"


def create(kind: str) -> Method:
    method = load().method(f"/nodes/{{node}}/{kind}", "POST")
    assert method
    return method


@pytest.mark.parametrize(
    ("kind", "field", "text", "values"),
    [
        ("lxc", "rootfs", "local:0.1,size=8G", {"volume": "local:0.1", "size": "8G"}),
        ("lxc", "rootfs", "volume=local:0.1", {"volume": "local:0.1"}),
        ("lxc", "features", "nesting=on,fuse=0", {"nesting": 1, "fuse": 0}),
        ("lxc", "net0", "name=eth0,tag=5,rate=0.5", {"name": "eth0", "tag": 5, "rate": 0.5}),
        ("lxc", "net0", ",name=eth0, ,", {"name": "eth0"}),
        ("qemu", "net0", "virtio,bridge=vmbr0", {"model": "virtio", "bridge": "vmbr0"}),
        ("qemu", "net0", f"e1000={MAC}", {"model": "e1000", "macaddr": MAC}),
        ("qemu", "scsi0", "volume=local:1", {"file": "local:1"}),
        ("qemu", "memory", "512", {"current": 512}),
        ("qemu", "cdrom", "none,media=cdrom", {"file": "none", "media": "cdrom"}),
        ("qemu", "boot", "order=scsi0;net0", {"order": "scsi0;net0"}),
        ("qemu", "boot", "", {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_text_becomes_typed_values(
    kind: str, field: str, text: str, values: dict[str, Any]
) -> None:
    assert properties(create(kind), field, text) == values


@pytest.mark.parametrize(
    ("kind", "field", "values", "text"),
    [
        ("lxc", "mp0", {"size": "1G", "mp": "/d", "volume": "a:b"}, "a:b,mp=/d,size=1G"),
        ("lxc", "mp0", {"mp": "/d", "volume": "/a=b", "ro": None}, "volume=/a=b,mp=/d"),
        ("lxc", "features", {"nesting": True, "fuse": False}, "fuse=0,nesting=1"),
        ("lxc", "net0", {"name": "e0", "rate": 1.0}, "name=e0,rate=1"),
        (
            "qemu",
            "net0",
            {"bridge": "b0", "macaddr": MAC, "model": "virtio"},
            f"virtio={MAC},bridge=b0",
        ),
        ("qemu", "net0", {"bridge": "b0", "model": "virtio"}, "virtio,bridge=b0"),
        ("qemu", "net0", {"model": "odd", "macaddr": MAC}, f"odd,macaddr={MAC}"),
        ("qemu", "agent", {"enabled": 1, "type": "isa"}, "1,type=isa"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_values_become_text_in_pve_s_order(
    kind: str, field: str, values: dict[str, Any], text: str
) -> None:
    assert render(create(kind), field, values) == text


@pytest.mark.parametrize(
    ("field", "text", "error"),
    [
        ("net0", "garbage", "value without key, but schema does not define a default key"),
        ("net0", "name=", "missing key in comma-separated list property"),
        ("net0", "=x", "missing key in comma-separated list property"),
        ("net0", "name=a,name=b", "duplicate key in comma-separated list property: name"),
        ("net0", "bridge=b", "net0.name: property is missing and it is not optional"),
        ("rootfs", "", "rootfs.volume: property is missing and it is not optional"),
        ("net0", "name=a,firewall=maybe", "type check ('boolean') failed - got 'maybe'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_text_is_refused_with_pve_s_words(field: str, text: str, error: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        properties(create("lxc"), field, text)
    assert error in str(refused.value)


def test_model_given_twice_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"duplicate key .*: model"):
        properties(create("qemu"), "net0", f"virtio={MAC},model=e1000")


@pytest.mark.parametrize(
    "values", [{"volume": "a:b", "nope": 1}, {"volume": "a,b"}], ids=["unknown key", "comma"]
)
def test_values_that_cannot_be_written_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="rootfs cannot be written"):
        render(create("lxc"), "rootfs", values)


def test_field_that_is_no_property_string_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"memory of POST /nodes/\{node\}/lxc"):
        properties(create("lxc"), "memory", "512")


def test_format_by_name() -> None:
    values = parse_property_string("prune-backups", "keep-last=3,keep-all=0")
    assert values == {"keep-last": 3, "keep-all": 0}
    assert print_property_string("prune-backups", values) == "keep-all=0,keep-last=3"


def test_format_by_facts() -> None:
    facts = {"a": {"type": "integer", "default_key": 1}}
    assert parse_property_string(facts, "5") == {"a": 5}


def test_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidValue, match="no property string format"):
        parse_property_string("nope", "a=1")


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_named_layout_compiles(name: str) -> None:
    with pytest.raises(InvalidValue):
        parse_property_string(name, "no-such-key=1")


names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
nets = st.fixed_dictionaries(
    {"name": names},
    optional={
        "bridge": names,
        "firewall": st.integers(0, 1),
        "gw": st.ip_addresses(v=4).map(str),
        "ip6": st.ip_addresses(v=6).map(lambda address: f"{address}/64"),
        "mtu": st.integers(64, 65535),
        "rate": st.floats(0.001, 1000).map(lambda rate: round(rate, 3)),
        "tag": st.integers(1, 4094),
    },
)


@given(nets)
def test_values_survive_their_own_text(values: dict[str, Any]) -> None:
    method = create("lxc")
    assert properties(method, "net0", render(method, "net0", values)) == values


@given(nets, st.randoms())
def test_order_of_the_text_does_not_matter(values: dict[str, Any], random: Any) -> None:
    method = create("lxc")
    normal = render(method, "net0", values)
    parts = normal.split(",")
    random.shuffle(parts)
    assert render(method, "net0", properties(method, "net0", ",".join(parts))) == normal


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    method = create("qemu")
    try:
        values = properties(method, "net0", text)
    except InvalidValue:
        return
    normal = render(method, "net0", values)
    assert render(method, "net0", properties(method, "net0", normal)) == normal
