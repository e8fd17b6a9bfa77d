"""Access tokens: short-lived, signed, naming the user and his role."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from src_app.domain.errors import NotAuthenticated

ALGORITHM = "HS256"
AUDIENCE = "app-manager"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: read from a token, never from the request."""

    user_id: int
    username: str
    role: str

    @property
    def is_admin(self) -> bool:
        """Whether this is an admin."""
        return self.role == "admin"


class Tokens:
    """Makes and reads access tokens with one key."""

    def __init__(self, key: str, *, lifetime: timedelta) -> None:
        self._key = key
        self.lifetime = lifetime

    def issue(self, identity: Identity, now: datetime | None = None) -> str:
        """Return a token for this user."""
        begins = now or datetime.now(UTC)
        claims = {
            "sub": identity.username,
            "user_id": identity.user_id,
            "role": identity.role,
            "iat": begins,
            "exp": begins + self.lifetime,
            "aud": AUDIENCE,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def read(self, token: str) -> Identity:
        """Return who a token is about.

        Raises:
            NotAuthenticated: it is expired, forged or none.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["exp", "sub", "user_id", "role"]},
            )
        except jwt.ExpiredSignatureError as exc:
            raise NotAuthenticated("The access token has expired") from exc
        except jwt.InvalidTokenError as exc:
            raise NotAuthenticated("The access token is not valid") from exc
        return Identity(int(claims["user_id"]), str(claims["sub"]), str(claims["role"]))
