"""Tasks: every way in which one can end, or not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import ApiFailure, TaskFailed, TaskTimeout
from pytest_proxmox.target.tasks import LOG_LINES, Ending, TaskOutcome, stop, wait
from pytest_proxmox.values import Upid
from tests.unit.target.script import Script

TEXT = "UPID:pve:000029F2:0008157D:6B01FF9A:vzcreate:9001:pt@pve!ci:"
UPID = Upid.parse(TEXT)
RUNNING = {"status": "running"}
NO_TASK = (400, "Parameter verification failed.", {"upid": "no such task"})


def ended(exitstatus: str) -> dict[str, str]:
    """The status of a task that has ended."""
    return {"status": "stopped", "exitstatus": exitstatus}


def test_a_task_that_ended_costs_one_call_and_no_wait() -> None:
    clock = ManualClock(0)
    script = Script([ended("OK")])

    outcome = wait(script, TEXT, timeout_s=10, clock=clock)

    assert outcome == TaskOutcome(UPID, Ending.OK, "OK")
    assert script.sent == [("GET", f"nodes/pve/tasks/{TEXT}/status")]
    assert clock.now() == 0


def test_polls_grow_to_half_a_second() -> None:
    clock = ManualClock(0)
    times: list[float] = []

    class Watched(Script):
        def answer(self, method: str, path: str, params: dict[str, object]) -> object:
            times.append(clock.now())
            return super().answer(method, path, params)

    wait(Watched([RUNNING] * 9 + [ended("OK")]), UPID, timeout_s=60, clock=clock)

    steps = [after - before for before, after in pairwise(times)]
    assert steps[0] < 0.05
    assert steps == sorted(steps)
    assert steps[-1] == 0.5


@pytest.mark.parametrize(
    ("exitstatus", "ending"),
    [
        ("WARNINGS: 3", Ending.WARNINGS),
        ("unable to create CT 9001 - x", Ending.FAILED),
        ("unexpected status", Ending.UNKNOWN),
    ],
    ids=["warnings", "failed", "worker killed"],
)
def test_a_task_that_did_not_end_ok_brings_its_log(exitstatus: str, ending: Ending) -> None:
    lines = [{"n": n, "t": f"line {n}"} for n in range(1, 60)]
    script = Script([ended(exitstatus), lines])

    outcome = wait(script, UPID, timeout_s=10, clock=ManualClock())

    assert (outcome.ending, outcome.exitstatus) == (ending, exitstatus)
    assert len(outcome.log_tail) == LOG_LINES
    assert outcome.log_tail[-1] == "line 59"
    assert script.params[-1] == {"limit": 0}  # the default would be the first 50 lines


def test_a_log_that_cannot_be_read_does_not_hide_the_outcome() -> None:
    script = Script([ended("job errors"), (403, "Permission check failed")])

    outcome = wait(script, UPID, timeout_s=10, clock=ManualClock())

    assert outcome.exitstatus == "job errors"
    assert outcome.log_tail == ("(its log cannot be read: Permission check failed)",)


def test_a_task_that_is_not_listed_yet_is_asked_again() -> None:
    assert wait(
        Script([NO_TASK, NO_TASK, ended("OK")]), UPID, timeout_s=10, clock=ManualClock()
    ).is_ok


def test_a_task_that_is_never_listed_has_an_unknown_end() -> None:
    clock = ManualClock(0)

    outcome = wait(Script([NO_TASK] * 100), UPID, timeout_s=60, clock=clock)

    assert (outcome.ending, outcome.exitstatus) == (Ending.UNKNOWN, None)
    assert 5 <= clock.now() < 6


def test_a_login_that_expires_in_the_middle_is_forgiven_once() -> None:
    script = Script([RUNNING, (401, ""), ended("OK")])
    assert wait(script, UPID, timeout_s=10, clock=ManualClock()).is_ok

    with pytest.raises(ApiFailure, match="401"):
        wait(Script([(401, ""), (401, "")]), UPID, timeout_s=10, clock=ManualClock())


def test_a_broken_line_between_polls_is_no_failure() -> None:
    script = Script([(596, "Broken pipe"), ended("OK")])

    assert wait(script, UPID, timeout_s=10, clock=ManualClock()).is_ok


def test_patience_ends() -> None:
    clock = ManualClock(0)

    with pytest.raises(TaskTimeout, match="still running after 3 s") as caught:
        wait(Script([RUNNING] * 100), UPID, timeout_s=3, clock=clock)

    assert caught.value.upid == TEXT
    assert clock.now() == pytest.approx(3, abs=0.1)


def test_the_caller_decides_what_warnings_mean() -> None:
    outcome = TaskOutcome(UPID, Ending.WARNINGS, "WARNINGS: 1", ("Could not remove disk",))

    assert outcome.demand("create") is outcome
    with pytest.raises(TaskFailed, match="destroy failed: WARNINGS: 1") as caught:
        outcome.demand("destroy", accept_warnings=False)
    assert caught.value.log_tail == ("Could not remove disk",)


def test_stopping_asks_the_tasks_own_node() -> None:
    script = Script([None])

    stop(script, UPID, clock=ManualClock())

    assert script.sent == [("DELETE", f"nodes/pve/tasks/{TEXT}")]
