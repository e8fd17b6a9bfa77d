"""Snapshots: any one can be gone back to, from any other, at the price of what changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from pytest_proxmox.simulator.store import Store


def test_a_snapshot_brings_back_what_was_set_changed_and_removed() -> None:
    store = Store()
    table = store.table("t")
    table["kept"], table["gone"] = 1, 2
    mark = store.snapshot()
    table["kept"], table["new"] = 10, 3
    del table["gone"]
    store.restore(mark)
    assert dict(table) == {"kept": 1, "gone": 2}


def test_a_later_snapshot_can_still_be_reached_after_going_back_to_an_earlier_one() -> None:
    store = Store()
    table = store.table("t")
    first = store.snapshot()
    table["a"] = 1
    second = store.snapshot()
    table["a"] = 2
    store.restore(first)
    assert dict(table) == {}
    store.restore(second)
    assert dict(table) == {"a": 1}


def test_going_back_to_a_snapshot_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="nope"):
        Store().restore("nope")


def test_pop_of_an_absent_key_returns_the_default() -> None:
    assert Store().table("t").pop("nope", 7) == 7


def test_replace_all_can_be_taken_back() -> None:
    store = Store()
    table = store.table("t")
    table["a"] = 1
    mark = store.snapshot()
    table.replace_all({"b": 2})
    assert dict(table) == {"b": 2}
    store.restore(mark)
    assert dict(table) == {"a": 1}


def test_the_price_of_a_restore_is_what_changed_not_what_there_is() -> None:
    store = Store()
    table = store.table("t")
    for number in range(10_000):
        table[number] = number
    mark = store.snapshot()
    table[5] = "changed"
    assert store.pending(mark) == 1


class Snapshots(RuleBasedStateMachine):
    """The store against plain copies of dictionaries."""

    marks: Bundle[tuple[str, dict[str, Any]]] = Bundle("marks")

    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.table = self.store.table("t")
        self.model: dict[str, Any] = {}

    @rule(key=st.sampled_from("abcdef"), value=st.integers())
    def put(self, key: str, value: int) -> None:
        self.table[key] = value
        self.model[key] = value

    @rule(key=st.sampled_from("abcdef"))
    def remove(self, key: str) -> None:
        assert self.table.pop(key) == self.model.pop(key, None)

    @rule(target=marks)
    def snapshot(self) -> tuple[str, dict[str, Any]]:
        return self.store.snapshot(), dict(self.model)

    @rule(mark=marks)
    def restore(self, mark: tuple[str, dict[str, Any]]) -> None:
        self.store.restore(mark[0])
        self.model = dict(mark[1])

    @invariant()
    def same(self) -> None:
        assert dict(self.table) == self.model


TestSnapshots = Snapshots.TestCase
TestSnapshots.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
