"""Forms with a file in them, as the clients that people use write them."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from pytest_proxmox.simulator import multipart
from pytest_proxmox.simulator.wire import PveError, Request, parameters

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='\r\n"\\\0;', categories=["L"]))


@given(
    fields=st.dictionaries(st.sampled_from("content checksum a b".split()), st.text()),
    filename=NAMES.filter(bool),
    content=st.binary(max_size=3000),
)
def test_what_a_client_sends_comes_out_again(
    fields: dict[str, str], filename: str, content: bytes
) -> None:
    file = (multipart.FILE, (filename, content))
    body, kind = encode_multipart_formdata([*fields.items(), file])
    form = multipart.parse(kind, body)
    assert dict(form.fields) == fields
    assert form.upload == multipart.Upload(filename, content)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_are_refused(body: bytes) -> None:
    kind = 'multipart/form-data; boundary="x"'
    cut = b"\r\n--x" not in body
    with pytest.raises(ValueError, match="boundary 'x'") if cut else nullcontext():
        multipart.parse(kind, b"--x\r\n" + body)


def test_a_boundary_within_a_line_does_not_cut() -> None:
    content = b"one--edge\r\n--edg\r\ntwo"
    body, kind = encode_multipart_formdata({"filename": ("f", content)}, boundary="edge")
    upload = multipart.parse(kind, body).upload
    assert upload is not None
    assert upload.content == content


def test_a_file_gives_its_name_and_where_the_node_keeps_it() -> None:
    body, kind = encode_multipart_formdata({"content": "iso", "filename": ("a.iso", b"123")})
    request = Request("POST", "/upload", {"content-type": kind}, body)
    given, upload = parameters(request)
    assert (given["content"], given["filename"]) == ("iso", "a.iso")
    assert given["tmpfilename"].startswith("/var/tmp/pveupload-")
    assert upload is not None
    assert upload.size == 3


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno end"),
    ],
    ids=["no boundary", "empty", "cut off"],
)
def test_a_broken_form_is_a_400(kind: str, body: bytes) -> None:
    request = Request("POST", "/upload", {"content-type": kind}, body or b" ")
    with pytest.raises(PveError, match="error parsing form data") as caught:
        parameters(request)
    assert caught.value.status == 400
