"""Calls: what is sent again, what is not, and what the caller hears."""

from __future__ import annotations

import pytest
from proxmoxer.core import ResourceException

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure
from pytest_proxmox.target.calls import ATTEMPTS, Calls
from pytest_proxmox.target.failures import Code
from tests.unit.target.script import Script

LOCK = (500, "can't lock file '/run/lock/x' - got timeout")
HOP = (596, "Connection timed out")


@pytest.mark.parametrize(
    ("method", "answers", "sent"),
    [
        pytest.param("get", [HOP, "data"], 2, id="a read over a broken hop"),
        pytest.param("post", [LOCK, LOCK, "data"], 3, id="a write that got no lock"),
        pytest.param("get", ["data"], 1, id="nothing wrong"),
    ],
)
def test_what_is_safe_is_sent_again(method: str, answers: list[object], sent: int) -> None:
    script = Script(answers)
    calls = Calls(script, ManualClock())

    assert getattr(calls, method)("nodes") == "data"
    assert script.sent == [(method.upper(), "nodes")] * sent


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("post", HOP, id="a write over a broken hop"),
        pytest.param("delete", (500, "CT is locked (backup)"), id="a locked guest"),
        pytest.param("get", (403, "Permission check failed"), id="a permission"),
        pytest.param("put", (400, "Parameter verification failed."), id="a parameter"),
    ],
)
def test_what_is_not_safe_is_sent_once(method: str, answer: object) -> None:
    script = Script([answer, "data"])

    with pytest.raises(ApiFailure):
        getattr(Calls(script, ManualClock()), method)("nodes")
    assert len(script.sent) == 1


def test_retries_end() -> None:
    script = Script([LOCK] * 20)
    clock = ManualClock(0)

    with pytest.raises(ApiFailure) as caught:
        Calls(script, clock).post("nodes/pve/lxc", vmid=9000)

    assert len(script.sent) == ATTEMPTS
    assert 0 < clock.now() < 30
    assert caught.value.code == Code.LOCK_TIMEOUT


def test_a_failure_says_the_call_and_the_answer() -> None:
    with pytest.raises(
        ApiFailure, match=r"^DELETE nodes/pve/lxc/9000: 500: CT is locked"
    ) as caught:
        Calls(Script([(500, "CT is locked (backup)")]), ManualClock()).delete("nodes/pve/lxc/9000")

    assert isinstance(caught.value.__cause__, ResourceException)


def test_a_bug_of_ours_is_not_taken_for_a_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        Calls(Script([ZeroDivisionError()]), ManualClock()).get("nodes")
