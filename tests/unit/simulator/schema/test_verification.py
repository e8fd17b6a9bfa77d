"""Parameters of a call are judged together: all errors at once, all values typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.simulator.schema import Verified, load, verify
from pytest_proxmox.simulator.schema.fields import MISSING, NOT_DEFINED


def judge(target: str, params: dict[str, Any]) -> Verified:
    verb, template = target.split(" ", 1)
    method = load().method(template, verb)
    assert method
    return verify(method, params)


def test_values_are_typed_and_nothing_is_added() -> None:
    values = {"node": "pve", "vmid": "100", "memory": "512", "cpulimit": "0.5", "onboot": "1"}
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", values)
    assert verified == Verified(
        {"node": "pve", "vmid": 100, "memory": 512, "cpulimit": 0.5, "onboot": 1}, {}
    )


def test_property_strings_stay_texts() -> None:
    params = {"node": "pve", "vmid": 100, "net0": "name=eth0,firewall=on"}
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", params)
    assert verified.values["net0"] == "name=eth0,firewall=on"


def test_refused_value_is_not_among_the_values() -> None:
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", {"node": "p", "vmid": 1, "swap": -1})
    assert set(verified.values) == {"node"}
    assert set(verified.errors) == {"vmid", "swap"}


def test_null_counts_as_not_given() -> None:
    verified = judge("POST /nodes/{node}/lxc", {"node": "p", "vmid": None, "memory": None})
    assert verified.values == {"node": "p"}
    assert verified.errors == {"vmid": MISSING, "ostemplate": MISSING}


@pytest.mark.parametrize("name", ["net32", "net01", "net", "net[n]", "mp256", "unused256"])
def test_index_out_of_range_is_not_defined(name: str) -> None:
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", {"node": "p", "vmid": 100, name: "x"})
    assert verified.errors == {name: NOT_DEFINED}


@pytest.mark.parametrize("name", ["net31", "mp255", "unused255"])
def test_last_index_is_defined(name: str) -> None:
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", {"node": "p", "vmid": 100, name: "!"})
    assert verified.errors[name] != NOT_DEFINED


def test_repeated_parameter_is_a_list() -> None:
    verified = judge("PUT /nodes/{node}/lxc/{vmid}/config", {"node": ["a", "b"], "vmid": "100"})
    assert verified.errors == {"node": "type check ('string') failed - got ARRAY"}


@pytest.mark.parametrize("given", ["100", ["100"], [100]], ids=["alone", "list", "JSON"])
def test_list_takes_one_value_and_many(given: Any) -> None:
    assert judge("POST /cluster/bulk-action/guest/start", {"vms": given}).values["vms"] == [100]


def test_list_reports_its_first_bad_item() -> None:
    errors = judge("POST /cluster/bulk-action/guest/start", {"vms": ["100", "99", "x"]}).errors
    assert errors == {"vms": "invalid format - value does not look like a valid VM ID\n"}


def test_required_companion_is_asked_for() -> None:
    errors = judge("POST /nodes/{node}/vzdump", {"node": "p", "protected": 1}).errors
    assert errors == {"storage": "missing property - required by 'protected'"}


def test_companion_given_is_enough() -> None:
    params = {"node": "p", "protected": 1, "storage": "local"}
    assert not judge("POST /nodes/{node}/vzdump", params).errors


def test_companion_inside_a_property_string() -> None:
    errors = judge("PUT /cluster/options", {"crs": "ha-auto-rebalance-margin=5"}).errors
    assert "required by 'ha-auto-rebalance-margin'" in errors["crs"]


def test_two_errors_in_a_property_string_are_two_lines() -> None:
    params = {"node": "p", "vmid": 100, "net0": "bridge=b,tag=0"}
    errors = judge("PUT /nodes/{node}/lxc/{vmid}/config", params).errors
    assert errors["net0"] == (
        "invalid format - format error\n"
        f"net0.name: {MISSING}\n"
        "net0.tag: value must have a minimum value of 1\n"
    )


def test_open_method_takes_any_parameter() -> None:
    params = {"node": "p", "vmid": 100, "whatever": ["x"]}
    verified = judge("GET /nodes/{node}/qemu/{vmid}/agent", params)
    assert verified == Verified(params, {})


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({"type": "node-affinity"}, {"nodes": MISSING, "resources": MISSING}),
        (
            {"type": "resource-affinity", "nodes": "a"},
            {
                "nodes": NOT_DEFINED,
                "resources": MISSING,
                "affinity": MISSING,
            },
        ),
        ({}, {"type": MISSING}),
        ({"type": "node-affinity", "nodes": "pve1:2", "resources": "vm:100"}, {}),
    ],
    ids=["one kind", "other kind", "no kind", "complete"],
)
def test_parameters_depend_on_the_kind_of_rule(
    params: dict[str, Any], errors: dict[str, str]
) -> None:
    assert judge("POST /cluster/ha/rules", {"rule": "r1", **params}).errors == errors


def test_unknown_kind_of_rule_is_refused() -> None:
    errors = judge("POST /cluster/ha/rules", {"rule": "r1", "type": "x"}).errors
    assert "enumeration" in errors["type"]


@pytest.mark.parametrize("delete", ["hello_interval", "area"])
def test_value_of_either_protocol_is_taken(delete: str) -> None:
    params = {"id": "fab1", "protocol": "ospf", "delete": delete}
    assert not judge("PUT /cluster/sdn/fabrics/fabric/{id}", params).errors


def test_value_of_no_protocol_is_refused() -> None:
    params = {"id": "fab1", "protocol": "ospf", "delete": "nope"}
    assert judge("PUT /cluster/sdn/fabrics/fabric/{id}", params).errors.keys() == {"delete"}


texts = st.text(st.characters())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
property_texts = st.lists(
    st.builds("{}={}".format, st.sampled_from(["name", "volume", "virtio", "ip", "size"]), texts)
    | texts,
    max_size=4,
).map(",".join)
numbers = st.integers().map(str) | st.floats().map(str)


@given(st.data())
def test_any_parameters_are_judged_without_an_exception(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(list(load().methods())))
    known = st.sampled_from(sorted(method.fields) or ["x"])
    given_values = json_values | numbers | property_texts | st.lists(texts, max_size=3)
    params = data.draw(st.dictionaries(known | texts, given_values, max_size=8))
    verified = verify(method, params)
    assert not verified.values.keys() & verified.errors.keys()
