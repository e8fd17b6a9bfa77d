"""What one pytest invocation ends with, beyond its tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_proxmox.errors import TargetUnreachable
from pytest_proxmox.invocation import Invocation
from pytest_proxmox.options import Sources


@pytest.fixture
def invocation() -> Invocation:
    """One in which nothing has happened."""
    return Invocation(Sources())


def session() -> Any:
    """As much of a session as is written to."""
    return SimpleNamespace(shouldstop=False)


@pytest.mark.parametrize("status", list(pytest.ExitCode), ids=lambda code: code.name)
def test_quiet_run_ends_as_pytest_says(invocation: Invocation, status: pytest.ExitCode) -> None:
    assert invocation.exit_status(status) == status


@pytest.mark.parametrize("status", [pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED])
def test_leftovers_make_a_green_run_fail(invocation: Invocation, status: int) -> None:
    invocation.leftovers.append("lxc/9000 on pve: still there.")
    assert invocation.exit_status(status) == pytest.ExitCode.TESTS_FAILED


def test_leftovers_do_not_hide_an_internal_error(invocation: Invocation) -> None:
    invocation.leftovers.append("lxc/9000 on pve: still there.")
    assert invocation.exit_status(pytest.ExitCode.INTERNAL_ERROR) == pytest.ExitCode.INTERNAL_ERROR


def test_mistake_stops_the_session_and_ends_with_usage_error(invocation: Invocation) -> None:
    running = session()
    invocation.stop(running, TargetUnreachable("nothing listens", hint="Check it"))
    assert running.shouldstop
    assert invocation.mistake == "nothing listens. Check it"
    assert invocation.exit_status(pytest.ExitCode.INTERRUPTED) == pytest.ExitCode.USAGE_ERROR


def test_first_mistake_is_the_one_to_tell(invocation: Invocation) -> None:
    for text in ("first", "second"):
        invocation.stop(session(), TargetUnreachable(text))
    assert invocation.mistake == "first."


def test_worker_hands_over_what_it_knows(invocation: Invocation) -> None:
    worker = Invocation(invocation.sources)
    worker.mistake, worker.leftovers, worker.notes = "m", ["one"], ["two"]
    config = SimpleNamespace(workeroutput={})
    worker.hand_over(cast(pytest.Config, config))
    invocation.take_over(config.workeroutput)
    assert (invocation.mistake, invocation.leftovers, invocation.notes) == ("m", ["one"], ["two"])


def test_worker_is_part_of_its_controllers_run(invocation: Invocation) -> None:
    workerinput = {"workerid": "gw1"}
    invocation.share(workerinput)
    config = SimpleNamespace(workerinput=workerinput, stash=pytest.Stash())
    begun = Invocation.begin(cast(pytest.Config, config), invocation.sources)
    assert (begun.run_id, begun.worker) == (invocation.run_id, "gw1")
    assert Invocation.of(cast(pytest.Config, config)) is begun


def test_worker_that_died_hands_over_nothing(invocation: Invocation) -> None:
    invocation.take_over({})
    assert (invocation.mistake, invocation.leftovers) == (None, [])
