"""Where a Proxmox is and who logs in: arguments first, then the environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_app.proxmox.endpoint import ConnectArguments, Endpoint, resolve, split_host
from src_app.proxmox.errors import SettingError

SECRET = "correct horse"
PASSWORD = {"PROXMOX_PASSWORD": SECRET}


def endpoint(environ: dict[str, str] | None = None, **arguments: object) -> Endpoint:
    given = {"host": "pve.example.org"} | arguments
    return resolve(ConnectArguments(**given), PASSWORD | (environ or {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "port", "variable", "expected"),
    [
        pytest.param("pve:9000", 9001, "9002", 9000, id="host-and-port-win"),
        pytest.param("pve", 9001, "9002", 9001, id="argument-before-variable"),
        pytest.param("pve", "9001", None, 9001, id="argument-as-text"),
        pytest.param("pve", None, "9002", 9002, id="variable-before-default"),
        pytest.param("pve", None, None, 8006, id="default"),
        pytest.param("pve", None, "", 8006, id="empty-variable-is-unset"),
    ],
)
def test_port_comes_from_the_strongest_source(
    host: str, port: int | str | None, variable: str | None, expected: int
) -> None:
    environ = {} if variable is None else {"PROXMOX_PORT": variable}

    assert endpoint(environ, host=host, port=port).port == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("pve", ("pve", None), id="name"),
        pytest.param("192.0.2.1:8443", ("192.0.2.1", "8443"), id="ipv4-and-port"),
        pytest.param("2001:db8::1", ("2001:db8::1", None), id="bare-ipv6"),
        pytest.param("[2001:db8::1]", ("2001:db8::1", None), id="ipv6-in-brackets"),
        pytest.param("[2001:db8::1]:8443", ("2001:db8::1", "8443"), id="ipv6-and-port"),
        pytest.param("https://pve:8443/", ("pve", "8443"), id="url"),
    ],
)
def test_host_is_read_in_every_usual_spelling(text: str, expected: tuple[str, str | None]) -> None:
    assert split_host(text, origin="test") == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://pve", id="not-https"),
        pytest.param("https://pve/api2/json", id="a-path"),
        pytest.param("https://", id="no-host"),
    ],
)
def test_address_that_is_none_is_refused_with_its_origin(text: str) -> None:
    with pytest.raises(SettingError, match=r"PROXMOX_HOST.*host:port"):
        resolve(ConnectArguments(), PASSWORD | {"PROXMOX_HOST": text})


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "8006x"])
def test_port_that_is_none_is_refused_with_its_origin(port: str) -> None:
    with pytest.raises(SettingError, match=rf'"{port}" is not a port \(PROXMOX_PORT\)'):
        endpoint({"PROXMOX_PORT": port})


@given(st.integers(1, 65535))
def test_every_port_survives_being_written_behind_the_host(port: int) -> None:
    assert endpoint(host=f"pve:{port}").port == port


def test_missing_host_says_where_it_may_come_from() -> None:
    with pytest.raises(SettingError, match=r"PROXMOX_HOST"):
        resolve(ConnectArguments(), PASSWORD)


def test_missing_secret_says_where_it_may_come_from() -> None:
    with pytest.raises(SettingError, match=r"no password and no token for root@pam"):
        resolve(ConnectArguments(host="pve"), {})


def test_given_password_wins_over_a_token_in_the_environment() -> None:
    found = endpoint({"PROXMOX_TOKEN_NAME": "ci", "PROXMOX_TOKEN_VALUE": "uuid"}, password="other")

    assert (found.login.password, found.login.token_name) == ("other", None)


def test_token_id_may_be_written_out_with_its_user() -> None:
    environ = {"PROXMOX_TOKEN_ID": "joe@pve!ci", "PROXMOX_TOKEN_SECRET": "uuid"}

    assert endpoint(environ).login.name == "joe@pve!ci"


def test_half_a_token_is_refused() -> None:
    with pytest.raises(SettingError, match="half a token"):
        endpoint(token_name="ci")


def test_user_without_realm_is_one_of_the_node() -> None:
    assert endpoint(user="root").login.user == "root@pam"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("false", False, id="false"),
        pytest.param("0", False, id="zero"),
        pytest.param("yes", True, id="yes"),
        pytest.param("", True, id="unset"),
        pytest.param("/etc/ca.pem", "/etc/ca.pem", id="file"),
    ],
)
def test_verification_is_a_yes_a_no_or_a_file(text: str, expected: bool | str) -> None:
    assert endpoint({"PROXMOX_VERIFY_SSL": text}).verify == expected


def test_argument_false_wins_over_the_environment() -> None:
    assert endpoint({"PROXMOX_VERIFY_SSL": "true"}, verify_ssl=False).verify is False


def test_url_puts_ipv6_in_brackets() -> None:
    assert endpoint(host="::1").url == "https://[::1]:8006"


def test_secrets_are_in_no_repr() -> None:
    with_token = endpoint(token_name="ci", token_value=SECRET, password=None)
    shown = f"{endpoint()!r} {with_token!r} {ConnectArguments(password=SECRET)!r}"

    assert SECRET not in shown
