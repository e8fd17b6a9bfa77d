"""Tasks are waited for by their UPID, as long as the caller has patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from src_app.proxmox.errors import (
    ProxmoxError,
    RequestFailed,
    TaskFailed,
    TaskTimeout,
    TaskWarned,
    Unreachable,
)
from src_app.proxmox.tasks import TaskOutcome, TaskWatch, Upid, demand_success
from tests.still import StillClock

UPID = Upid.parse("UPID:pve:00000627:00036A9D:6B01F3A7:vzcreate:100:root@pam:")
RUNNING = {"status": "running"}


class Answers:
    """A reader that gives these answers in turn, the last one for ever."""

    def __init__(self, *answers: dict[str, str] | Exception, log: tuple[str, ...] = ()) -> None:
        self._answers = list(answers)
        self._log = log

    def get(self, path: str, **params: Any) -> Any:
        if path.endswith("/log"):
            return [{"n": number, "t": line} for number, line in enumerate(self._log, 1)]
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def stopped(exitstatus: str) -> dict[str, str]:
    return {"status": "stopped", "exitstatus": exitstatus}


Wait = Callable[[TaskWatch, float], TaskOutcome]


def on_a_loop(watch: TaskWatch, timeout_s: float) -> TaskOutcome:
    return asyncio.run(watch.ended(UPID, timeout_s=timeout_s))


def on_a_thread(watch: TaskWatch, timeout_s: float) -> TaskOutcome:
    return watch.ended_blocking(UPID, timeout_s=timeout_s)


@pytest.fixture(params=[on_a_loop, on_a_thread], ids=["loop", "thread"])
def wait(request: pytest.FixtureRequest) -> Wait:
    """How a caller waits: on its loop, or blocking a thread."""
    chosen: Wait = request.param
    return chosen


def test_wait_ends_with_the_task(wait: Wait) -> None:
    watch = TaskWatch(Answers(RUNNING, RUNNING, stopped("OK")), StillClock())

    assert wait(watch, 60).ok


def test_patience_ends_with_the_upid_in_the_error(wait: Wait) -> None:
    watch = TaskWatch(Answers(RUNNING), StillClock())

    with pytest.raises(TaskTimeout, match=r"still runs after 60 s") as caught:
        wait(watch, 60)

    assert caught.value.upid == UPID.text


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Unreachable("no answer"), id="connection"),
        pytest.param(RequestFailed("gone", status=595, reason="No route"), id="between-nodes"),
    ],
)
def test_node_that_is_gone_for_a_moment_does_not_end_the_wait(
    wait: Wait, trouble: Exception
) -> None:
    watch = TaskWatch(Answers(trouble, stopped("OK")), StillClock())

    assert wait(watch, 60).ok


def test_silence_ends_the_wait_sooner_than_a_task_that_runs(wait: Wait) -> None:
    clock = StillClock()
    watch = TaskWatch(Answers(RUNNING, RUNNING, Unreachable("no answer")), clock, silence_s=10)

    with pytest.raises(Unreachable):
        wait(watch, 600)

    assert 10 < clock.now < 20


def test_answer_ends_the_silence(wait: Wait) -> None:
    gone = [Unreachable("no answer")] * 9
    watch = TaskWatch(
        Answers(*gone, RUNNING, *gone, RUNNING, stopped("OK")), StillClock(), silence_s=10
    )

    assert wait(watch, 600).ok


def test_other_refusals_end_the_wait_at_once(wait: Wait) -> None:
    watch = TaskWatch(Answers(RequestFailed("no", status=500, reason="no")), StillClock())

    with pytest.raises(RequestFailed):
        wait(watch, 60)


def test_failed_task_carries_the_end_of_its_log() -> None:
    log = tuple(f"line {number}" for number in range(30))
    watch = TaskWatch(Answers(stopped("unable to create CT 100"), log=log), StillClock())

    outcome = on_a_thread(watch, 60)

    assert outcome.log_tail == log[-20:]


def test_worker_that_vanished_counts_as_failed() -> None:
    watch = TaskWatch(Answers({"status": "stopped"}), StillClock())

    assert on_a_thread(watch, 60).exitstatus == "unexpected status"


def test_warning_is_a_failure_unless_allowed() -> None:
    outcome = TaskOutcome(UPID.text, "WARNINGS: 1", ("disk left behind",))

    with pytest.raises(TaskWarned, match=r"WARNINGS: 1.*(\n.*)*disk left behind"):
        demand_success(outcome, doing="destroying container 100")
    demand_success(outcome, doing="backup", allow_warnings=True)


def test_error_is_a_failure_even_where_warnings_are_allowed() -> None:
    with pytest.raises(TaskFailed, match=r"backup failed: job errors"):
        demand_success(TaskOutcome(UPID.text, "job errors"), doing="backup", allow_warnings=True)


def test_upid_is_read_into_its_parts() -> None:
    token = Upid.parse("UPID:pve1:00002AF5:000081976:6B01FFA4:vzclone:9001:pt@pve!ci:")

    assert (token.node, token.type, token.id, token.user) == (
        "pve1",
        "vzclone",
        "9001",
        "pt@pve!ci",
    )


@pytest.mark.parametrize("text", ["OK", "", None, "UPID:pve", "UPID:pve:1:2:3:vzcreate:100:root:"])
def test_what_is_no_upid_is_refused(text: object) -> None:
    with pytest.raises(ProxmoxError, match="is not a task id"):
        Upid.parse(text)
