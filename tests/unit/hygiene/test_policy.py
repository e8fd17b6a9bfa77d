"""Patterns and levels: what counts, what is allowed."""

from __future__ import annotations

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.hygiene.offences import Offence
from pytest_proxmox.hygiene.places import Place
from pytest_proxmox.hygiene.policy import Pattern, Policy, resolve
from pytest_proxmox.hygiene.settings import KINDS, Level

THREAD = Offence("thread", "poller-1", "thread 'poller-1'", Place("/app/poll.py", 3, "start"))


@pytest.mark.parametrize(
    ("text", "covers"),
    [
        ("thread", True),
        ("thread:poller-*", True),
        ("thread:*/poll.py", True),
        ("*", True),
        ("thread:other", False),
        ("socket", False),
    ],
    ids=["kind", "name", "file", "anything", "other name", "other kind"],
)
def test_pattern_covers_kind_name_or_file(text: str, covers: bool) -> None:
    assert Pattern.parse(text, "test").covers(THREAD) is covers


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidValue, match="the kinds are coroutine, task"):
        Pattern.parse("threads", "mark allow_leaks")


def test_allowed_offence_is_off() -> None:
    policy = Policy({"thread": Level.ERROR})

    assert policy.level(THREAD) is Level.ERROR
    assert policy.level(THREAD, [Pattern("thread", "*")]) is Level.OFF


def test_strict_async_off_leaves_the_other_kinds_on() -> None:
    levels = dict.fromkeys(KINDS, "error")

    policy = resolve(levels, [], strict_async=False, origin="pytest.ini")

    assert not policy.watches("coroutine")
    assert not policy.watches("task")
    assert policy.watches("thread")
