"""Probes: whether something answers at an address, asked from here."""

from __future__ import annotations

import socket
from typing import Final

import requests

ANSWER_S: Final = 5.0  # one try; who is slower is not ready


def http_status(url: str) -> int | str:
    """Return the status that a GET is answered with, or why there is none, in words.

    No proxy is asked, and no certificate judged: a fresh guest has made its own.
    """
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=ANSWER_S, verify=False).status_code
        except requests.exceptions.Timeout:
            return f"no answer in {ANSWER_S:.0f} s"
        except requests.exceptions.RequestException as exc:
            return f"no answer ({type(exc).__name__})"


def accepts(host: str, port: int) -> bool:
    """Whether a connection can be made."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S):
            return True
    except OSError:
        return False
