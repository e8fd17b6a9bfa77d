"""Requests are read the same whether their headers are known from the last one or not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_proxmox.simulator.connection import _Requests
from pytest_proxmox.simulator.wire import Answer, Request

HEADS = (b"host: a\r\n", b"host: a\r\ncookie: b\r\n", b"host: a\r\nconnection: close\r\n")
LINES = (
    b"GET /api2/json/version HTTP/1.1\r\n",
    b"GET /api2/json/nodes?x=%20 HTTP/1.1\r\n",
    b"GET /a HTTP/1.0\r\n",
    b"HEAD /a HTTP/1.1\r\n",
    b"GET /{ HTTP/1.1\r\n",
    b"GET  /a HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"DELETE /a?b=1 HTTP/1.1\r\n",
)
BODIES = (
    b"\r\n",
    b"content-length: 0\r\n\r\n",
    b"content-length: 3\r\n\r\nabc",
    b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
)

MESSAGES = st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from(LINES),
    st.sampled_from(HEADS),
    st.sampled_from(BODIES),
)


def _read(pieces: list[bytes]) -> list[tuple[object, bool]]:
    """What is made of these pieces: (method, target, headers, body) or a status, and keep-alive."""
    requests = _Requests()
    for piece in pieces:
        requests.feed(piece)
    return [(_told(asked), keep) for asked, keep in requests.whole]


def _told(asked: Request | Answer) -> object:
    if isinstance(asked, Answer):
        return asked.status
    return asked.method, asked.target, dict(asked.headers), asked.body


@given(st.lists(st.lists(MESSAGES, min_size=1, max_size=3).map(b"".join), max_size=6))
def test_any_requests_are_read_as_byte_by_byte(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert _read(pieces) == _read([whole[at : at + 1] for at in range(len(whole))])


def test_nothing_is_known_again_after_the_last_request() -> None:
    ask, last = (
        b"GET /a HTTP/1.1\r\nhost: a\r\n%b\r\n" % more for more in (b"", b"connection: close\r\n")
    )
    assert [told for told, _ in _read([ask, last, ask])][2:] == [400]


def test_the_headers_of_the_last_request_are_known_again() -> None:
    requests = _Requests()
    lines = (("GET", "/a"), ("GET", "/b"), ("DELETE", "/c?d=1"))
    for line in lines:
        head = " ".join((*line, "HTTP/1.1")).encode()
        requests.feed(head + b"\r\nhost: a\r\ncookie: t\r\n\r\n")
    asked = [request for request, _ in requests.whole]
    assert [_told(one) for one in asked] == [
        (method, target, {"host": "a", "cookie": "t"}, b"") for method, target in lines
    ]
    first, *later = (one.headers for one in asked if isinstance(one, Request))
    assert all(headers is first for headers in later)
