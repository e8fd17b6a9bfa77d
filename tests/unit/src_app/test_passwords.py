"""Passwords: who is not there costs what others cost, and is never let in."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import VerifyMismatchError

from src_app.security.passwords import Passwords

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Witness(PasswordHasher):
    """Remembers the hashes that it checked."""

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.checked = str(hash)
        return super().verify(hash, password)


@pytest.mark.parametrize(
    "hasher",
    [
        Witness(time_cost=1, memory_cost=8, parallelism=1),
        Witness(time_cost=2, memory_cost=16, parallelism=2, salt_len=10, hash_len=21, type=Type.I),
    ],
    ids=["usual", "other"],
)
def test_user_who_is_not_there_takes_as_long_as_another(hasher: Witness) -> None:
    passwords = Passwords(hasher)
    assert not passwords.fits(PASSWORD, None)
    of_nobody = extract_parameters(hasher.checked)
    assert of_nobody == extract_parameters(passwords.hash(PASSWORD))


def test_check_for_nobody_is_a_whole_check() -> None:
    """A hash that argon2 cannot read would be refused before the work is done."""
    hasher = Witness(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    passwords.fits(PASSWORD, None)
    with pytest.raises(VerifyMismatchError):
        CHEAP.verify(hasher.checked, PASSWORD)


def test_only_the_password_that_was_hashed_fits() -> None:
    passwords = Passwords(CHEAP)
    stored = passwords.hash(PASSWORD)
    assert passwords.fits(PASSWORD, stored)
    assert not passwords.fits("wrong horse", stored)
    assert not passwords.fits(PASSWORD, "no hash at all")
