"""Values that are unreadable at rest: sealed with the manager's key."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from src_app.domain.errors import ConfigurationError


class Cipher:
    """Seals and opens texts."""

    def __init__(self, key: str) -> None:
        digest = hashlib.sha256(b"app-manager sealed values\0" + key.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))

    def __repr__(self) -> str:
        return "Cipher(***)"

    def seal(self, text: str) -> bytes:
        """Return the text, unreadable."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Return the text again.

        Raises:
            ConfigurationError: it was sealed with another key.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as exc:
            raise ConfigurationError(
                "A sealed value cannot be opened: APP_SECRET_KEY is not the one it was sealed with"
            ) from exc
