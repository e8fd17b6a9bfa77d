"""The failure table: recorded texts and what a caller can do about each."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import requests
from proxmoxer.core import AuthenticationError, ResourceException
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from pytest_proxmox.target.failures import RULES, Code, Failure, Kind, api_failure, judge, parse

LINE, POOL = HTTPConnection("pve.invalid"), HTTPConnectionPool("pve.invalid")
T, A, W, P = Kind.TRANSIENT, Kind.AMBIGUOUS, Kind.WAIT, Kind.PERMANENT


@pytest.mark.parametrize(
    ("status", "text", "code", "kind"),
    [
        (595, "No route to host", Code.NODE_OFFLINE, W),
        (500, "failed to remove config file: no quorum", Code.NO_QUORUM, W),
        (500, "failed to remove config file: busy", Code.CONFIG_STUCK, W),
        (500, "unable to connect to VM 1 qmp socket - timeout", Code.GUEST_SILENT, A),
        (500, "QEMU guest agent is not running", Code.GUEST_SILENT, W),
        (None, "start failed: QEMU exited with code 1", Code.START_FAILED, P),
        (None, "start failed: command 'kvm' failed: got timeout", Code.START_TIMEOUT, T),
        (None, "startup for container '9001' failed", Code.START_FAILED, P),
        (None, "Could not remove disk 'a:b', check manually: x", Code.DISK_LEFT, P),
        (None, "job errors", Code.JOB_FAILED, P),
        (596, "Connection timed out", Code.HOP_BROKEN, A),
        (596, "tls_process_server_certificate: certificate verify failed", Code.UNKNOWN_NODE, P),
        (599, "Too many redirections", Code.HOP_BROKEN, A),
        (502, "Bad Gateway", Code.HOP_BROKEN, A),
        (401, "", Code.NOT_AUTHENTICATED, P),
        (401, "Permission denied - invalid csrf token", Code.NOT_AUTHENTICATED, P),
        (403, "Permission check failed (/vms/9001, VM.Audit)", Code.FORBIDDEN, P),
        (403, "Permission check failed (pool 'p/b/n' does not exist)", Code.POOL_GONE, P),
        (501, "Method 'GET /x' not implemented", Code.NOT_IMPLEMENTED, P),
        (400, "Parameter verification failed.; vmid: VM 9001 already exists", Code.VMID_TAKEN, P),
        (500, "CT 100 already exists on node 'pve1'", Code.VMID_TAKEN, P),
        (500, "unable to create VM 701: config file already exists", Code.VMID_TAKEN, P),
        (500, "unable to get any free VMID in range [5000, 5001]", Code.NO_FREE_VMID, P),
        (500, "can't lock file '/run/lock/lxc/x.lock' - got timeout", Code.LOCK_TIMEOUT, T),
        (500, "cfs-lock 'storage-x' error: got lock request timeout", Code.LOCK_TIMEOUT, T),
        (500, "CT is locked (backup)", Code.GUEST_LOCKED, W),
        (500, "cluster not ready - no quorum?", Code.NO_QUORUM, W),
        (500, "Configuration file 'nodes/pve1/lxc/4999.conf' does not exist", Code.NO_GUEST, P),
        (500, "can't remove CT 102 - protection mode enabled", Code.PROTECTED, P),
        (500, "unable to destroy CT 100 - container is running", Code.RUNNING, W),
        (500, "CT 100 not running", Code.NOT_RUNNING, P),
        (500, "CT 100 already running", Code.ALREADY_RUNNING, P),
        (500, "cannot delete service 'ct:512', not HA managed!", Code.NOT_HA_MANAGED, P),
        (500, "create pool failed: pool 'pytest/run1' already exists", Code.POOL_EXISTS, P),
        (500, "update pools failed: pool 'pytest/run1' does not exist", Code.NO_POOL, P),
        (
            500,
            "delete pool failed: pool 'x' is not empty (contains VM 9001)",
            Code.POOL_NOT_EMPTY,
            W,
        ),
        (500, "storage 's1' is disabled", Code.STORAGE_DOWN, W),
        (500, "storage 'nope' does not exist", Code.STORAGE_DOWN, P),
        (500, "hostname lookup 'pve2' failed - failed to get address", Code.UNKNOWN_NODE, P),
        (500, "got no worker upid - start worker failed", Code.WORKER_NOT_STARTED, A),
        (400, "Parameter verification failed.; upid: no such task", Code.NO_TASK, A),
        (400, "Parameter verification failed.; memory: too small", Code.BAD_PARAMETERS, P),
        (None, "base volume 'x' is still in use by linked cloned", Code.CLONES_LEFT, W),
        (None, "zfs error: cannot destroy 'x': dataset is busy", Code.VOLUME_BUSY, T),
        (None, "cannot remove protected volume 'backup/x' on 'bak'", Code.PROTECTED_VOLUME, P),
        (None, "unexpected status", Code.INTERRUPTED, A),
        (None, "something nobody has seen", Code.UNKNOWN, P),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_failed_write_is(status: int | None, text: str, code: Code, kind: Kind) -> None:
    failure = judge(text, status=status, write=True)

    assert (failure.code, failure.kind) == (code, kind)


@pytest.mark.parametrize("status", [502, 596, 597, 598, 599])
def test_a_broken_hop_is_transient_for_a_read(status: int) -> None:
    assert judge("Connection timed out", status=status).kind is T


def test_of_all_recorded_errors_only_lock_waits_and_races_are_sent_again() -> None:
    golden = Path(__file__).parents[2] / "contract" / "golden"
    lines = [line for path in golden.glob("*.jsonl") for line in path.read_text().splitlines()]
    entries = [json.loads(line) for line in lines]
    failed = [entry for entry in entries if entry.get("status", 0) >= 400]
    judged = [judge(entry["reason"], status=entry["status"], write=True) for entry in failed]

    assert len(judged) > 300
    again = {failure.code for failure in judged if failure.kind is T}
    assert again <= {Code.LOCK_TIMEOUT, Code.CONFIG_CHANGED}


def test_the_fields_of_a_400_are_read() -> None:
    error = ResourceException(
        400, "Bad Request", "Parameter verification failed.", {"vmid": "VM 9001 already exists\n"}
    )
    failure = parse(error, write=True)

    assert failure is not None
    assert failure.code is Code.VMID_TAKEN
    assert failure.text == "Parameter verification failed.; vmid: VM 9001 already exists"


def test_an_answer_without_json_is_read_by_its_reason() -> None:
    failure = parse(
        ResourceException(401, "Unauthorized", "No ticket", {"errors": b""}), write=True
    )

    assert failure is not None
    assert str(failure) == "401 No ticket"


@pytest.mark.parametrize(
    ("error", "write", "code", "kind"),
    [
        (requests.exceptions.ReadTimeout("late"), True, Code.NO_ANSWER, A),
        (requests.exceptions.ReadTimeout("late"), False, Code.NO_ANSWER, T),
        (requests.exceptions.ConnectTimeout("nobody"), True, Code.UNREACHABLE, T),
        (requests.exceptions.ConnectionError("reset"), True, Code.LINE_CUT, A),
        (requests.exceptions.ChunkedEncodingError("cut"), False, Code.LINE_CUT, T),
        (requests.exceptions.SSLError("self-signed"), False, Code.CERTIFICATE, P),
        (requests.exceptions.InvalidURL("?"), False, Code.UNKNOWN, P),
        (AuthenticationError("refused"), True, Code.NOT_AUTHENTICATED, P),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_exception_is(error: Exception, code: Code, kind: Kind, *, write: bool) -> None:
    failure = parse(error, write=write)

    assert failure is not None
    assert (failure.code, failure.kind) == (code, kind)


def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        with pytest.raises(requests.exceptions.ConnectionError) as caught:
            requests.get(f"https://127.0.0.1:{taken.getsockname()[1]}/", timeout=5)

    failure = parse(caught.value, write=True)
    assert failure is not None
    assert (failure.code, failure.kind) == (Code.UNREACHABLE, T)


def test_other_exceptions_are_not_ours_to_judge() -> None:
    assert parse(ValueError("x"), write=True) is None


def test_no_rule_hides_behind_an_earlier_one() -> None:
    catch_all = [rule.status for rule in RULES if not rule.pattern.pattern]

    assert len(catch_all) == len(set(catch_all))


@pytest.mark.parametrize(
    ("status", "code"),
    [(502, Code.HOP_BROKEN), (594, Code.HOP_BROKEN), (600, Code.UNKNOWN), (500, Code.UNKNOWN)],
)
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_an_unknown_status_of_the_way_there_is_told_apart(
    status: int, code: Code, write: bool
) -> None:
    kind = P if code is Code.UNKNOWN else (A if write else T)

    assert judge("nobody knows", status=status, write=write) == Failure(
        kind, code, "nobody knows", status
    )


def test_without_a_word_it_was_a_read() -> None:
    assert judge("got no worker upid").kind is T
    assert judge("Bad Gateway", status=502).kind is T
    assert judge("Bad Gateway", status=502, write=True).kind is A


def test_a_failure_keeps_text_and_status() -> None:
    known = judge("CT 100 not running", status=500)

    assert known == Failure(P, Code.NOT_RUNNING, "CT 100 not running", 500)
    assert judge("x") == Failure(P, Code.UNKNOWN, "x", None)
    assert (str(known), str(judge("x"))) == ("500 CT 100 not running", "x")


@pytest.mark.parametrize(
    ("content", "errors", "text"),
    [
        (None, None, ""),
        (" reason \n", None, "reason"),
        ("reason", {"a": " one ", "b": 2, "c": "three"}, "reason; a: one; c: three"),
        ("", {"a": "one"}, "a: one"),
        ("reason", "no fields", "reason"),
    ],
    ids=["nothing", "reason", "fields", "fields only", "text"],
)
def test_an_answers_text_is_its_reason_and_its_fields(
    content: str | None, errors: object, text: str
) -> None:
    failure = parse(ResourceException(500, "x", content, errors), write=False)

    assert failure == Failure(P, Code.UNKNOWN, text, 500)


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_an_answer_means_another_thing_to_a_write(write: bool) -> None:
    failure = parse(ResourceException(596, "x", "Connection timed out", None), write=write)

    assert failure is not None
    assert failure.kind is (A if write else T)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("refused"),
        requests.exceptions.ReadTimeout("late"),
        requests.exceptions.ConnectTimeout("nobody"),
        requests.exceptions.ConnectionError("reset"),
        requests.exceptions.SSLError("self-signed"),
        requests.exceptions.InvalidURL("?"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exceptions_text_is_kept(error: Exception) -> None:
    failure = parse(error, write=True)

    assert failure is not None
    assert failure.text == str(error)
    assert failure.status == (401 if isinstance(error, AuthenticationError) else None)


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (NewConnectionError(LINE, "refused"), Code.UNREACHABLE),
        (MaxRetryError(POOL, "/", NewConnectionError(LINE, "refused")), Code.UNREACHABLE),
        (MaxRetryError(POOL, "/", OSError("reset")), Code.LINE_CUT),
        (OSError("reset"), Code.LINE_CUT),
        (None, Code.LINE_CUT),
    ],
    ids=["refused", "refused again", "reset again", "reset", "no cause"],
)
def test_a_connection_that_never_was_is_told_apart(cause: object, code: Code) -> None:
    error = requests.exceptions.ConnectionError(*([] if cause is None else [cause]))
    failure = parse(error, write=True)

    assert failure is not None
    assert failure.code is code


def test_the_exception_of_a_failed_call_has_all_of_it() -> None:
    error = api_failure("DELETE nodes/pve/lxc/9000", judge("CT 9000 not running", status=500))

    assert (error.call, error.text) == ("DELETE nodes/pve/lxc/9000", "CT 9000 not running")
    assert (error.kind, error.code, error.status) == (P, Code.NOT_RUNNING, 500)
