"""Environments of apps: their values are sealed wherever they are stored."""

from __future__ import annotations

from collections.abc import Mapping

from src_app.security.cipher import Cipher

MASK = "******"


def seal(cipher: Cipher, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the same names with sealed values."""
    return {name: cipher.seal(value).decode() for name, value in environment.items()}


def opened(cipher: Cipher, sealed: Mapping[str, str]) -> dict[str, str]:
    """Return the same names with the values in the clear."""
    return {name: cipher.open(value.encode()) for name, value in sealed.items()}


def masked(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the same names with stars."""
    return dict.fromkeys(environment, MASK)
