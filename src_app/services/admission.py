"""Whom a token lets in: as the user's row says now, not as it said when the token was made."""

from __future__ import annotations

from collections.abc import Hashable

from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.domain.errors import NotAuthenticated
from src_app.security.tokens import Identity, Tokens

MOST = 1024


class Admission:
    """Checks tokens; a user who lost a role or his access loses it with his next request."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._seen: dict[int, Identity] = {}
        self._mark: Hashable | None = None

    async def admit(self, token: str) -> Identity:
        """Return who asks, with the role he has now.

        Raises:
            NotAuthenticated: the token is none of ours or expired, or its user has no access.
        """
        claimed = self._tokens.read(token)
        mark = await self._store.amark()
        if mark is None or mark != self._mark or len(self._seen) >= MOST:
            self._seen, self._mark = {}, mark
        found = self._seen.get(claimed.user_id)
        if found is None:
            found = await self._store.aread(lambda db: _current(db, claimed))
            if self._mark == mark:
                self._seen[claimed.user_id] = found
        return found


def _current(db: RepositoryFactory, claimed: Identity) -> Identity:
    user = db.users.find_by_id(claimed.user_id)
    if user is None or not user.is_active:
        raise NotAuthenticated("This user has no access any more")
    return Identity(user.id, user.username, user.role)
