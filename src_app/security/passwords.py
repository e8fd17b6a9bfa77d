"""Passwords: argon2 hashes, and what a password must be."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

SHORTEST, LONGEST = 8, 200
RULE = f"must have {SHORTEST} to {LONGEST} characters"


class Passwords:
    """Hashes and checks passwords; one with a cheaper hasher is for tests."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        # Checked for users that are not there, so that an answer takes as long as for others.
        self._nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        return self._hasher.hash(password)

    def fits(self, password: str, stored: str | None) -> bool:
        """Tell whether the password is the one that was hashed; None stands for no user."""
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)
