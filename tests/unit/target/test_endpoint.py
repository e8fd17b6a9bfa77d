"""Endpoints: what goes to proxmoxer, what is refused, and no secret in sight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.target.endpoint import TIMEOUT_S, Endpoint


def test_a_password_goes_to_proxmoxer() -> None:
    assert Endpoint("pve", password="secret").proxmoxer_arguments() == {
        "host": "pve",
        "port": 8006,
        "user": "root@pam",
        "password": "secret",
        "verify_ssl": True,
        "timeout": TIMEOUT_S,
    }


def test_a_token_goes_to_proxmoxer_instead_of_a_password() -> None:
    endpoint = Endpoint("pve", user="pt@pve", token_name="ci", token_value="uuid", password="x")
    arguments = endpoint.proxmoxer_arguments()

    assert (arguments["token_name"], arguments["token_value"]) == ("ci", "uuid")
    assert "password" not in arguments
    assert endpoint.identity == "pt@pve!ci"


@pytest.mark.parametrize(
    ("settings", "verify"),
    [
        pytest.param({"ca_file": Path("/etc/ca.pem")}, "/etc/ca.pem", id="a CA of its own"),
        pytest.param({"verify_ssl": False}, False, id="not at all"),
        pytest.param({"verify_ssl": False, "ca_file": Path("/x")}, False, id="off wins"),
    ],
)
def test_the_certificate_is_checked_against(settings: dict[str, Any], verify: object) -> None:
    endpoint = Endpoint("pve", password="x", **settings)

    assert endpoint.proxmoxer_arguments()["verify_ssl"] == verify


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        pytest.param({"host": "", "password": "x"}, "no host", id="host"),
        pytest.param({"host": "pve"}, "no password and no token", id="credentials"),
        pytest.param({"host": "pve", "token_name": "ci"}, "half an API token", id="token value"),
        pytest.param(
            {"host": "pve", "user": "root", "password": "x"}, 'user "root" has no realm', id="realm"
        ),
    ],
)
def test_what_is_missing_is_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        Endpoint(**settings)


def test_secrets_are_in_no_repr() -> None:
    endpoint = Endpoint("pve", password="hunter2", token_name="ci", token_value="5ec237")

    assert "hunter2" not in repr(endpoint)
    assert "5ec237" not in repr(endpoint)


@pytest.mark.parametrize(
    ("host", "url", "is_loopback"),
    [
        pytest.param("pve.example.org", "https://pve.example.org:8006", False, id="name"),
        pytest.param("127.0.0.1", "https://127.0.0.1:8006", True, id="this machine"),
        pytest.param("::1", "https://[::1]:8006", True, id="this machine, IPv6"),
    ],
)
def test_the_url_of(host: str, url: str, *, is_loopback: bool) -> None:
    endpoint = Endpoint(host, password="x")

    assert (endpoint.url, endpoint.is_loopback) == (url, is_loopback)
