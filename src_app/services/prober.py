"""Asking an app over HTTP whether it works."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from src_app.services.appclient import app_client

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """What an app answered; ``text`` says why it is not well."""

    ok: bool
    text: str = ""


class Prober:
    """Asks apps; never through a proxy of the environment, since they are on our own network."""

    async def ask(self, address: str, port: int, path: str) -> Health:
        """Return whether the app answers with a success or a redirection."""
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{port}{path}"
        try:
            async with app_client(TIMEOUT_S) as client:
                answer = await client.get(url)
        except httpx2.HTTPError as exc:
            return Health(ok=False, text=f"GET {path}: {type(exc).__name__}")
        if answer.status_code < 400:
            return Health(ok=True)
        return Health(ok=False, text=f"GET {path} answered {answer.status_code}")
