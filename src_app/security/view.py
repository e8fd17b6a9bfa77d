"""Signed permission to look at one app, as part of an address."""

from __future__ import annotations

from datetime import datetime

import jwt

AUDIENCE = "app-manager-view"
ALGORITHM = "HS256"


def sign(key: str, app_id: str, expires: datetime) -> str:
    """Return the ticket."""
    claims = {"sub": app_id, "exp": expires, "aud": AUDIENCE}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def app_of(key: str, ticket: str) -> str | None:
    """Return the app that a ticket is for, None for one that is expired, forged or none."""
    try:
        claims = jwt.decode(ticket, key, algorithms=[ALGORITHM], audience=AUDIENCE)
    except jwt.InvalidTokenError:
        return None
    return str(claims.get("sub"))
