"""How settings are spelled: what is understood, and what each mistake is told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox import spellings
from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.spellings import Account, Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pve", Address("pve")),
        ("192.168.1.100", Address("192.168.1.100")),
        ("pve.lan:443", Address("pve.lan", 443)),
        ("https://pve.lan:8006/", Address("pve.lan", 8006)),
        ("::1", Address("::1")),
        ("[fe80::1]", Address("fe80::1")),
        ("[fe80::1]:8007", Address("fe80::1", 8007)),
    ],
)
def test_host_is_understood(text: str, address: Address) -> None:
    assert spellings.address(text, "a test") == address


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "pve:", "pve:port", "http://pve", "pve/path", "pve:0", "pve:65536"]
)
def test_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"is not a (host|port) \(a test\)"):
        spellings.address(text, "a test")


@pytest.mark.parametrize("parse", [spellings.address, spellings.target])
def test_password_in_an_address_is_not_repeated(parse: spellings.Spelling) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse("https://root@pam:hush@pve", "a test")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8006.0", "x", "", "٨"])
def test_port_outside_the_limits_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="Use 1 to 65535"):
        spellings.port(text, "")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("simulator", "simulator"),
        ("real", "real"),
        ("replay", "replay"),
        ("https://127.0.0.1:8006", "https://127.0.0.1:8006"),
        ("https://pve.lan/", "https://pve.lan:8006"),
        ("https://[::1]:8007", "https://[::1]:8007"),
    ],
)
def test_target_is_a_word_or_an_address(text: str, target: str) -> None:
    assert spellings.target(text, "") == target


@pytest.mark.parametrize(
    "text", ["", "Real", "simulated", "pve.lan", "http://pve", "https://pve/api2", "tape"]
)
def test_unknown_target_is_told_the_known_ones(text: str) -> None:
    with pytest.raises(InvalidValue, match="Use simulator, real, replay or an address"):
        spellings.target(text, "")


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("root@pam", Account("root@pam")),
        ("ci@my-realm", Account("ci@my-realm")),
        ("ci@pve!runner.1", Account("ci@pve", "runner.1")),
    ],
)
def test_user_is_understood(text: str, account: Account) -> None:
    assert spellings.account(text, "") == account


@pytest.mark.parametrize("text", ["", "root", "root@", "@pam", "ro ot@pam", "root@pam!"])
def test_user_without_realm_is_told_to_add_one(text: str) -> None:
    with pytest.raises(InvalidValue, match="Write it with its realm"):
        spellings.account(text, "")


def test_token_name_with_its_secret_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidValue) as caught:
        spellings.token_name("root@pam!ci=hush", "PROXMOX_TOKEN_NAME")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False)]
)
def test_verification_is_a_yes_or_a_no(text: str, value: bool) -> None:
    assert spellings.verification(text, "") is value


def test_verification_is_also_a_file_of_certificates(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.touch()
    assert spellings.verification(str(path), "") == str(path)


def test_verification_by_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidValue, match="neither true nor false nor a file"):
        spellings.verification("missing.pem", "")


def test_folder_is_no_world(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        spellings.world(str(tmp_path), "")


EVERY = [
    spellings.address,
    spellings.port,
    spellings.target,
    spellings.account,
    spellings.token_name,
    spellings.node,
    spellings.vmid_range,
    spellings.volume,
    spellings.named("pool", "[a-z]+", example="pytest"),
    spellings.one_of("clock", ("real",)),
]


@pytest.mark.parametrize("parse", EVERY, ids=lambda parse: parse.__qualname__)
@given(text=st.text() | st.from_regex(r"(https://)?[\w@!:.\[\]-]{1,30}"))
def test_any_text_is_a_value_or_an_invalid_value(  # lint: no-assertion - no other error
    parse: spellings.Spelling, text: str
) -> None:
    with suppress(InvalidValue):
        parse(text, "a test")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("failed", 1800), ("failed=90s", 90), ("failed=30m", 1800), ("failed=2h", 7200)],
)
def test_keeping_is_for_half_an_hour_or_as_said(text: str, seconds: float) -> None:
    assert spellings.keeping(text, "") == seconds


@pytest.mark.parametrize("text", ["", "all", "failed=", "failed=30", "failed=-1m", "passed=1m"])
def test_keeping_something_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="Write failed or failed=30m"):
        spellings.keeping(text, "")


def test_caps_are_written_as_they_are_read() -> None:
    caps = spellings.caps("guests=20, memory=16G,disk=100G", "")
    assert caps == spellings.Caps(20, 16384, 100)
    assert spellings.caps(str(caps), "") == caps
    assert spellings.caps("memory=512M", "") == spellings.Caps(memory_mib=512)


@pytest.mark.parametrize("text", ["", "guests", "guests=x", "memory=1", "disk=1M", "cpus=2"])
def test_other_caps_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="is no cap"):
        spellings.caps(text, "")
