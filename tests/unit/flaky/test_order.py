"""The search for polluters, on suites whose dependencies are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.flaky.order import ORDERS, Search, most_runs
from pytest_proxmox.flaky.ordering import shuffled
from pytest_proxmox.flaky.runs import Outcomes


class Suite:
    """A suite of numbered tests in which some pollute, some clean, and one suffers."""

    def __init__(
        self, order: Sequence[str], *, polluters: Sequence[str], cleaner: str = "",
        victim: str = "victim", fails_alone: bool = False,
    ) -> None:  # fmt: skip
        self.order = list(order)
        self.polluters = set(polluters)
        self.cleaner = cleaner
        self.victim = victim
        self.fails_alone = fails_alone
        self.runs = 0

    def run(self, tests: Sequence[str] | None = None, *, seed: int | None = None) -> Outcomes:
        """Play the tests in this order."""
        self.runs += 1
        names = list(self.order if tests is None else tests)
        if seed is not None:
            names = shuffled(names, seed)
        dirty: set[str] = set()
        outcomes = {}
        for name in names:
            if name in self.polluters:
                dirty.add(name)
            if name == self.cleaner:
                dirty.clear()
            bad = name == self.victim and (self.fails_alone or dirty == self.polluters)
            outcomes[name] = "failed" if bad else "passed"
        return Outcomes(int("failed" in outcomes.values()), tuple(names), outcomes)


def _search(suite: Suite) -> Search:
    return Search(suite, say=lambda _: None)


@given(st.integers(3, 400), st.data())
def test_one_polluter_is_found_within_the_bound(size: int, data: st.DataObject) -> None:
    names = [f"t{n}" for n in range(size - 1)]
    polluter = data.draw(st.sampled_from(names))
    cleaner = data.draw(st.sampled_from(["", *(n for n in names if n != polluter)]))
    names.insert(data.draw(st.integers(0, len(names))), "victim")
    suite = Suite(names, polluters=[polluter], cleaner=cleaner)
    search = _search(suite)
    seen = search.failing_order(victim="victim")
    found = search.explain("victim", seen)
    assert (found.polluters, found.cleaner) == ((polluter,), cleaner or None)
    assert suite.runs <= most_runs(size)


def test_two_polluters_that_are_both_needed_are_found() -> None:
    names = [f"t{n}" for n in range(20)]
    suite = Suite([*names, "victim"], polluters=["t3", "t15"])
    search = _search(suite)
    found = search.explain("victim", search.failing_order())
    assert found.reproducer == ("t3", "t15", "victim")


def test_a_test_that_fails_alone_blames_nobody() -> None:
    suite = Suite(["a", "victim"], polluters=[], fails_alone=True)
    search = _search(suite)
    assert search.explain("victim", search.failing_order()).fails_alone


def test_an_unknown_victim_without_cleaner_shows_in_an_order_or_its_reverse() -> None:
    suite = Suite(["victim", *(f"t{n}" for n in range(20))], polluters=["t7"])
    assert _search(suite).failing_order().failed == ["victim"]
    assert suite.runs == 2


def test_a_steady_suite_is_tried_in_several_orders() -> None:
    suite = Suite(["a", "b"], polluters=["none"])
    assert _search(suite).failing_order().failed == []
    assert suite.runs == ORDERS


def test_shuffling_keeps_modules_together_and_repeats_itself() -> None:
    names = [f"{m}.py::T{c}::test_{n}[x::y]" for m in "ab" for c in (1, 2) for n in range(5)]
    mixed = shuffled(names, 7)
    assert sorted(mixed) == sorted(names)
    assert mixed != names
    assert mixed == shuffled(names, 7) != shuffled(names, 8)
    modules = [name[0] for name in mixed]
    assert modules in (["a"] * 10 + ["b"] * 10, ["b"] * 10 + ["a"] * 10)


@pytest.mark.parametrize(("tests", "runs"), [(1000, 29), (16, 18)])
def test_the_bound_is_the_documented_one(tests: int, runs: int) -> None:
    assert most_runs(tests) == runs
