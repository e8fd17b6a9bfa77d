"""Secrets are taken out of texts, addresses and archives; the rest stays as it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.browser.redaction import Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uh"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {JWT}",
        "Authorization: Bearer s3cr3t-value",
        "Cookie: PVEAuthCookie=s3cr3t-value; x=1",
        "PVEAPIToken=s3cr3t-value",
        '{"username": "ann", "password": "s3cr3t-value"}',
        r'{"body": "{\"password\": \"s3cr3t-value\"}"}',
        "{'access_token': 's3cr3t-value'}",
        '{"name": "X-CSRF-Token", "value": "s3cr3t-value"}',
        "username=ann&password=s3cr3t-value&x=1",
        '<input id="p" type="password" value="s3cr3t-value">',
    ],
    ids=lambda text: text[:24],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    clean = Redactor().text(text)
    assert "s3cr3t-value" not in clean
    assert JWT not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    "text", ["status is running", '{"username": "ann"}', "GET /api/v1/apps -> 200", "a = b"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


@given(st.text(min_size=4, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_known_secret_never_stays(secret: str, before: str, after: str) -> None:
    clean = Redactor([secret]).text(before + secret + after)
    assert secret not in clean or secret in "***"


def test_address_loses_user_and_secrets_but_keeps_its_place() -> None:
    shown = Redactor().url("http://ann:pw12@127.0.0.1:8000/a?token=abc&page=2")
    assert shown == "http://127.0.0.1:8000/a?token=***&page=2"


def test_archive_loses_secrets_in_its_texts_and_keeps_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "trace.zip"
    picture = b"\xff\xd8 known-secret \xff"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trace.trace", '{"value": "known-secret"}\n')
        archive.writestr("resources/a.jpeg", picture)
    Redactor(["known-secret"]).archive(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("trace.trace") == b'{"value": "***"}\n'
        assert archive.read("resources/a.jpeg") == picture
    assert list(tmp_path.iterdir()) == [path]
