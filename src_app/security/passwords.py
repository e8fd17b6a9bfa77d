"""Passwords: argon2 hashes, and what a password must be."""

from __future__ import annotations

import base64
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

SHORTEST, LONGEST = 8, 200
RULE = f"must have {SHORTEST} to {LONGEST} characters"


class Passwords:
    """Hashes and checks passwords; one with a cheaper hasher is for tests."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = _hash_of_nobody(self._hasher)

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


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Return what is checked for users that are not there: it takes as long as for others.

    No password is known to fit, since nobody hashed one: that would take a tenth of a second of
    each start.
    """
    kind = f"argon2{hasher.type.name.lower()}"
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = _random_text(hasher.salt_len), _random_text(hasher.hash_len)
    return f"${kind}$v={ARGON2_VERSION}${costs}${salt}${digest}"


def _random_text(size: int) -> str:
    """Return so many random bytes as hashes spell them: base64 without its padding."""
    return base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=")
