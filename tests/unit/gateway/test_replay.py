"""A recording answers in the place of the Proxmox that it was made of, with this run's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.gateway.reach import Call
from pytest_proxmox.gateway.record import Exchange, Recorder, Recording
from pytest_proxmox.gateway.replay import Replay
from pytest_proxmox.gateway.upstream import data_of
from pytest_proxmox.simulator.wire import Request
from pytest_proxmox.target.redaction import Redaction
from pytest_proxmox.values import VmidRange

SPAN = VmidRange.parse("9000-9099")
HEAD = {"span": "9000-9099", "run": "0123456789abcdef"}
CREATE = ("POST", "/nodes/pve/lxc")
STATUS = ("GET", "/nodes/pve/lxc/9007/status/current")


def exchange(
    method: str, path: str, data: Any, *, test: str = "test_it", **params: Any
) -> Exchange:
    """Return an exchange that went well."""
    return Exchange(method, path, params, 200, "OK", {"data": data}, test)


def replay(*exchanges: Exchange, test: str = "test_it") -> Replay:
    """Return the replay of what one test exchanged."""
    recorder = Recorder(Redaction())
    recorder.test = test
    return Replay(Recording(HEAD, exchanges), recorder, span=SPAN)


def ask(replayed: Replay, method: str, path: str, **params: Any) -> Any:
    """Return the data of an answer, or its status where it is an error."""
    answer = replayed(Request(method, path), Call(method, path, params), door="app")
    return data_of(answer)["data"] if answer.status == 200 else answer.status


def test_names_of_this_run_stand_for_the_recorded_ones() -> None:
    replayed = replay(
        exchange("GET", "/cluster/nextid", "9007", vmid="9007"),
        exchange(
            *CREATE, "UPID:x:vzcreate:9007:", vmid="9007", pool="pytest/b9000-9009/naaaaaaaaaaaa"
        ),
        exchange(*STATUS, {"vmid": 9007, "pool": "naaaaaaaaaaaa"}),
    )
    assert ask(replayed, "GET", "/cluster/nextid", vmid=9001) == "9001"
    pool = "pytest/b9010-9019/nbbbbbbbbbbbb"
    assert ask(replayed, *CREATE, vmid=9001, pool=pool) == "UPID:x:vzcreate:9001:"
    status = ask(replayed, "GET", "/nodes/pve/lxc/9001/status/current")
    assert status == {"vmid": 9001, "pool": "nbbbbbbbbbbbb"}


def test_two_names_are_not_taken_for_one() -> None:
    replayed = replay(
        exchange("GET", "/cluster/nextid", "9007", vmid="9007"),
        exchange("GET", "/cluster/nextid", "9008", vmid="9008"),
    )
    assert ask(replayed, "GET", "/cluster/nextid", vmid=9001) == "9001"
    assert ask(replayed, "GET", "/cluster/nextid", vmid=9002) == "9002"
    assert ask(replayed, "GET", "/cluster/nextid", vmid=9001) == "9001"


def test_reads_come_in_order_and_the_last_one_stays() -> None:
    replayed = replay(*(exchange(*STATUS, word) for word in ("running", "stopped")))
    found = [ask(replayed, *STATUS) for _ in range(3)]
    assert found == ["running", "stopped", "stopped"]


def test_read_does_not_see_what_a_later_write_did() -> None:
    replayed = replay(
        exchange(*STATUS, "running"),
        exchange("POST", "/nodes/pve/lxc/9007/status/stop", "UPID"),
        exchange(*STATUS, "stopped"),
    )
    assert [ask(replayed, *STATUS) for _ in range(3)] == ["running"] * 3
    assert ask(replayed, "POST", "/nodes/pve/lxc/9007/status/stop") == "UPID"
    assert ask(replayed, *STATUS) == "stopped"


def test_write_that_was_not_recorded_is_an_error_that_says_so() -> None:
    replayed = replay(exchange(*STATUS, "running"))
    assert ask(replayed, "DELETE", "/nodes/pve/lxc/9007") == 501
    assert ask(replayed, *CREATE, vmid=9001) == 501


def test_write_is_answered_once() -> None:
    replayed = replay(exchange(*CREATE, "UPID", vmid="9007"))
    assert ask(replayed, *CREATE, vmid="9007") == "UPID"
    assert ask(replayed, *CREATE, vmid="9007") == 501


def test_each_test_gets_its_own_answers_first() -> None:
    exchanges = [exchange(*STATUS, name, test=name) for name in ("test_one", "test_two")]
    assert ask(replay(*exchanges, test="test_two"), *STATUS) == "test_two"
    assert ask(replay(*exchanges, test="test_new"), *STATUS) == "test_one"


def test_secrets_do_not_have_to_match() -> None:
    replayed = replay(exchange(*CREATE, "UPID", vmid="9007", password="***"))
    assert ask(replayed, *CREATE, vmid="9007", password="random") == "UPID"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no recording"),
        ({"exchanges-main.jsonl": "no json"}, "cannot be read"),
        ({"exchanges-main.jsonl": '{"pytest-proxmox": 9}'}, "format 9"),
        ({"exchanges-main.jsonl": '{"pytest-proxmox": 1}\n{"x": 1}'}, "cannot be read"),
    ],
    ids=["none", "broken", "newer", "other"],
)
def test_folder_without_a_recording_is_a_mistake(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InvalidValue, match=message):
        Recording.read(tmp_path)


def test_recording_replaces_an_earlier_runs_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    for run, workers in (("run-1", ["gw0", "gw1"]), ("run-2", ["main"])):
        for worker in workers:
            Recorder(Redaction(), folder=tmp_path, worker=worker, head={"run": run}).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exchanges-main.jsonl", "mine.txt"]
    head = json.loads((tmp_path / "exchanges-main.jsonl").read_text())
    assert head["run"] == "run-2"
