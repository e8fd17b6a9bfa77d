"""Catalog entries and schedules: what is refused, and by which words."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.catalog.entry import CatalogEntry, EntryError, version_key
from src_app.catalog.library import BUNDLED, Library
from src_app.domain.errors import InvalidInput
from src_app.domain.hostnames import parse_hostname
from src_app.domain.schedules import Rule

FIRST, LAST = datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2040-01-01")
NGINX: dict[str, Any] = json.loads((BUNDLED / "nginx.json").read_text(encoding="utf-8"))


def test_every_bundled_entry_is_one() -> None:
    library = Library()
    assert library.problems == ()
    assert len(library.search()) >= 12


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "Not An Id"}, "id"),
        ({"id": None}, "id: is missing"),
        ({"port": 0}, "port: 0 is not 1 to 65535"),
        ({"port": "80"}, "port"),
        ({"port": True}, "port"),
        ({"category": "toys"}, "category"),
        ({"versions": []}, "versions: must not be empty"),
        ({"versions": [{"version": "1.0", "health": "/", "serves": "web"}]}, "image or a template"),
        ({"website": "ftp://x"}, "website"),
        ({"environment": {"A B": "x"}}, "no name of a variable"),
        ({"volumes": [{"path": "data", "size_gib": 1}]}, "volumes[0].path"),
        ({"colour": "red"}, "colour: is not known"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_entry_names_its_field(change: dict[str, Any], told: str) -> None:
    data = {**copy.deepcopy(NGINX), **change}
    with pytest.raises(EntryError) as caught:
        CatalogEntry.parse(data)
    assert told in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_anything_else_is_refused_without_a_crash(data: Any) -> None:
    with pytest.raises(EntryError):
        CatalogEntry.parse(data)
    with pytest.raises(EntryError):
        CatalogEntry.parse({**NGINX, "versions": data})


def test_versions_are_ordered_by_their_numbers() -> None:
    assert version_key("1.10") > version_key("1.9")
    assert version_key("2.0") > version_key("2.0-rc1")
    assert version_key("10") > version_key("9.99.99")


@given(st.text(max_size=70))
def test_hostname_is_what_proxmox_takes_or_refused(text: str) -> None:
    try:
        hostname = parse_hostname(text)
    except InvalidInput:
        return
    assert 3 <= len(hostname) <= 63
    assert hostname.isascii()
    assert hostname == hostname.lower()
    assert not hostname.startswith("-")
    assert not hostname.endswith("-")


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("daily 02:00", "2026-03-05T02:00"),
        ("daily 23:30", "2026-03-04T23:30"),
        ("SUN  03:00", "2026-03-08T03:00"),
        ("wed 09:59", "2026-03-11T09:59"),
        ("every 15m", "2026-03-04T10:15"),
    ],
)
def test_rule_says_when_it_is_due_next(rule: str, due: str) -> None:
    wednesday = datetime(2026, 3, 4, 10, tzinfo=UTC)
    assert Rule.parse(rule).after(wednesday) == datetime.fromisoformat(f"{due}+00:00")


@given(
    st.sampled_from(["daily 00:00", "mon 12:30", "sun 23:59", "every 1m"]),
    st.datetimes(FIRST, LAST).map(lambda moment: moment.replace(tzinfo=UTC)),
)
def test_next_time_is_later_and_within_a_week(rule: str, start: datetime) -> None:
    due = Rule.parse(rule).after(start)
    assert start < due <= start + timedelta(days=8)


@pytest.mark.parametrize("text", ["", "hourly", "daily 24:00", "every 0m", "fri", "daily 2:00"])
def test_other_texts_are_no_rules(text: str) -> None:
    with pytest.raises(InvalidInput):
        Rule.parse(text)
