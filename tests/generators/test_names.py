"""Names in generated code: valid and unique for any guest name, and the same next time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.iac.names import guest_name, inventory_name, slug, storage_name
from tests.generators.worlds import storage_ids

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HOST = re.compile(r"[a-z0-9][a-z0-9-]*-\d+")
vmids = st.integers(100, 999_999_999)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Web-1", "web_1"),
        ("123vm", "_123vm"),
        ("web..1", "web_1"),
        ("größe", "groe"),
        ("東京", ""),
    ],
    ids=["dash", "digit", "dots", "accents", "nothing kept"],
)
def test_a_slug_keeps_what_every_tool_accepts(name: str, wanted: str) -> None:
    assert slug(name) == wanted


@given(one=st.tuples(st.text(), vmids), other=st.tuples(st.text(), vmids))
def test_a_guests_name_is_valid_and_its_own(one: tuple[str, int], other: tuple[str, int]) -> None:
    for made, valid in ((guest_name, IDENTIFIER), (inventory_name, HOST)):
        first, second = made(*one, "vm"), made(*other, "vm")
        assert (first == second) <= (one[1] == other[1])
        assert valid.fullmatch(first)


def test_a_guests_name_does_not_depend_on_other_guests() -> None:
    assert [guest_name("web-1", 101, "vm"), guest_name("web.1", 102, "vm")] == [
        "web_1_101",
        "web_1_102",
    ]


@given(one=storage_ids, other=storage_ids)
def test_a_storages_name_is_valid_and_its_own(one: str, other: str) -> None:
    assert (storage_name(one) == storage_name(other)) == (one == other)
    assert IDENTIFIER.fullmatch(storage_name(one))


@pytest.mark.parametrize("name", ["a-b", "a_b", "A-b", "a.b", "a--b", "S_a", "a-5f-b"])
def test_storages_that_look_alike_have_names_of_their_own(name: str) -> None:
    others = {"a-b", "a_b", "A-b", "a.b", "a--b", "S_a", "a-5f-b"} - {name}
    assert storage_name(name) not in {storage_name(other) for other in others}
