"""How the manager itself speaks to an app: plain HTTP, past every proxy of the environment."""

from __future__ import annotations

import ssl

import httpx2


def app_client(timeout_s: float) -> httpx2.AsyncClient:
    """Return a client for one exchange: it keeps no cookie of one user for the next.

    To load the certificates of all authorities, which httpx2 does for each client, would hold
    the event loop for 20 ms, and no app is asked over TLS: with none, any would be refused.
    """
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(trust_env=False, timeout=timeout_s, verify=nobody)
