"""Nothing that opens a door is shown or kept."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.target.redaction import HIDDEN, Redaction, guard_logs

NAMES = "password cipassword ticket CSRFPreventionToken token_secret private-key encryption-key otp"


@pytest.mark.parametrize("name", NAMES.split())
def test_fields_that_are_named_for_secrets_are_hidden(name: str) -> None:
    assert Redaction().data({name: "x", "rest": [{name: 1}]}) == {
        name: HIDDEN,
        "rest": [{name: HIDDEN}],
    }


@pytest.mark.parametrize("name", ["tokenid", "vmid", "ssh-public-keys", "digest", "monkey"])
def test_other_fields_are_shown(name: str) -> None:
    assert Redaction().data({name: "x"}) == {name: "x"}


def test_secret_of_a_new_token_is_hidden_where_it_is_called_value() -> None:
    shown = Redaction().data({"data": {"value": "x"}}, path="/access/users/a@pve/token/ci")
    assert shown == {"data": {"value": HIDDEN}}
    assert Redaction().data({"value": "x"}, path="/nodes") == {"value": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "POST https://pve {'vmid': 1, 'password': 'opensesame', 'x': 2}",
        """{"data":{"ticket":"opensesame","CSRFPreventionToken":"opensesame"}}""",
        "{'cipassword': \"opense'same\"}",
    ],
    ids=["parameters", "answer", "quotes"],
)
def test_log_of_a_client_holds_no_secret(text: str, caplog: pytest.LogCaptureFixture) -> None:
    guard_logs("pytest_proxmox.tests.client")
    guard_logs("pytest_proxmox.tests.client")
    with caplog.at_level(logging.INFO):
        logging.getLogger("pytest_proxmox.tests.client").info("%s", text)
    assert "opense" not in caplog.text
    assert "***" in caplog.text


def test_other_log_lines_stay(caplog: pytest.LogCaptureFixture) -> None:
    guard_logs("pytest_proxmox.tests.client")
    with caplog.at_level(logging.INFO):
        logging.getLogger("pytest_proxmox.tests.client").info("GET %s", "{'vmid': '9000'}")
    assert "GET {'vmid': '9000'}" in caplog.text


@given(st.text(min_size=4), st.text(), st.text())
def test_known_secret_is_in_no_text(secret: str, before: str, after: str) -> None:
    redaction = Redaction([secret, None, ""])
    shown = redaction.data({"a": [f"{before}{secret}{after}"]})["a"][0]
    assert secret not in shown.replace(HIDDEN, "\0") or secret in HIDDEN
    assert secret not in repr(redaction)
