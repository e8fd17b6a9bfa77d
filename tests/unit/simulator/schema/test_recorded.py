"""Parameter verification says what the recorded node said: every 400, and every call it took."""

from __future__ import annotations

import re

import pytest

from pytest_proxmox.simulator.schema import conflicts, load, properties, render, verify
from tests.unit.simulator.schema.recorded import Call, calls, property_texts

# 400s that a handler raises after verification: about what there is, not about how it is written.
BY_A_HANDLER = re.compile(
    r"VM \d+ already exists"
    r"|Token already exists\."
    r"|No such (storage\.|job '.*')"
    r"|no such task|unable to parse worker upid"
    r"|storage '.*' does not support (container directories|vm images)"
    r"|storage ID mismatch .*\n"
    r"|unknown option '.*'|you can't use '-.*"
    r"|target is local node\."
    r"|property is missing|option conflicts with option 'vmid'"  # vzdump's choice of guests
)

# Answers that come before the parameters are looked at: rights, and the node.
BEFORE = re.compile(r"Permission check failed.*|hostname lookup .*|user name '.*' is too short")


def is_by_a_handler(call: Call) -> bool:
    return any(BY_A_HANDLER.fullmatch(text) for text in call.errors.values())


def errors(call: Call) -> dict[str, str]:
    return (
        conflicts(call.path, call.params)
        or verify(call.method, {**call.params, **call.path}).errors
    )


REFUSED = [call for call in calls() if call.errors and not is_by_a_handler(call)]
TAKEN = [
    call
    for call in calls()
    if (not call.errors and not BEFORE.fullmatch(call.reason)) or is_by_a_handler(call)
]


def test_there_are_recordings_to_go_by() -> None:
    assert len(REFUSED) > 100
    assert len(TAKEN) > 1500


@pytest.mark.parametrize("call", REFUSED, ids=lambda call: call.where)
def test_errors_are_those_recorded(call: Call) -> None:
    assert errors(call) == call.errors


def test_calls_that_the_node_took_have_no_errors() -> None:
    wrong = {call.where: errors(call) for call in TAKEN if call.status != 401 and errors(call)}
    assert not wrong


def test_recorded_configurations_are_printed_as_they_stand() -> None:
    methods = {kind: load().method(f"/nodes/{{node}}/{kind}", "POST") for kind in ("lxc", "qemu")}
    seen = 0
    for field, text, kind in property_texts():
        method = methods[kind]
        assert method
        if text.strip() and method.verifier.property_string(field):
            assert render(method, field, properties(method, field, text)) == text
            seen += 1
    assert seen > 150
