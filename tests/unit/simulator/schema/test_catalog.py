"""The catalogue knows every method and parses each path at its first use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_proxmox.simulator.schema import Schema, conflicts, load
from pytest_proxmox.simulator.schema.catalog import Method


def method(template: str, verb: str) -> Method:
    found = load().method(template, verb)
    assert found
    return found


def test_every_method_of_the_api_is_there() -> None:
    assert len(load().templates()) == 439
    assert sum(1 for _ in load().methods()) == 661


def test_templates_are_sorted() -> None:
    assert list(load().templates()) == sorted(load().templates())


def test_method_says_who_may_call_it_and_where_it_runs() -> None:
    create = method("/nodes/{node}/lxc", "POST")
    assert create.proxyto == "node"
    assert create.protected
    assert create.allowtoken
    assert create.permissions
    assert create.returns["type"] == "string"


def test_ticket_is_not_for_tokens() -> None:
    assert not method("/access/ticket", "POST").allowtoken


@pytest.mark.parametrize(
    ("template", "verb"),
    [("/version", "PUT"), ("/nope", "GET"), ("/version", "PATCH")],
    ids=["other verb", "no template", "no verb of PVE"],
)
def test_unknown_method_is_none(template: str, verb: str) -> None:
    assert load().method(template, verb) is None


def test_verbs_of_a_template() -> None:
    assert set(load().verbs("/nodes/{node}/lxc")) == {"GET", "POST"}
    assert load().verbs("/nope") == ()


def test_other_paths_are_not_parsed(tmp_path: Path) -> None:
    facts = {"GET": {"allowtoken": 1, "name": "a", "parameters": {}, "returns": {"type": "null"}}}
    data = tmp_path / "methods.tsv"
    data.write_text(f"/a\t{json.dumps(facts)}\n/b\tnot JSON\n", encoding="utf-8")
    assert Schema.read(data).verbs("/a") == ("GET",)


def test_two_schemas_share_nothing(tmp_path: Path) -> None:
    data = tmp_path / "methods.tsv"
    data.write_text("", encoding="utf-8")
    assert Schema.read(data).templates() == ()
    assert load().templates()


def test_fields_are_written_out() -> None:
    fields = method("/nodes/{node}/lxc", "POST").fields
    assert "net0" in fields
    assert "mp255" in fields
    assert "mp256" not in fields


def test_defaults_are_those_documented() -> None:
    assert method("/nodes/{node}/lxc", "POST").defaults["memory"] == 512


def test_same_value_in_path_and_body_is_no_conflict() -> None:
    assert conflicts({"vmid": "500"}, {"vmid": 500, "memory": "64"}) == {}


def test_other_value_in_body_is_a_conflict() -> None:
    assert "vmid" in conflicts({"vmid": "500"}, {"vmid": "501"})
