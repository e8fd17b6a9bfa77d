"""An operation's stream: told by the process that works on it, seen by looking otherwise."""

from __future__ import annotations

import time

import pytest

from src_app.services.manager import Manager
from src_app.services.news import News
from src_app.web.api import operations
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]
LONG_S = 20.0


def test_stream_ends_as_soon_as_its_operation(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LOOK_S", LONG_S)
    began = time.monotonic()
    owner.deploy()
    assert time.monotonic() - began < LONG_S


def test_stream_sees_what_nobody_in_this_process_tells(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(News, "tell", lambda _self, number: told.append(number))
    accepted = owner.post("/apps/deploy", catalog_id="nginx", hostname="site")
    owner.done(accepted)
    assert set(told) == {accepted["operation"]["id"]}


def test_nobody_is_kept_who_follows_no_more(owner: Caller, manager: Manager) -> None:
    owner.deploy()
    assert manager.context.news.followers == 0
