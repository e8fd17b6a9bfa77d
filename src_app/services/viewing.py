"""Tickets to look at an app inside the manager's page: a frame cannot send a header."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import src_app.security.view as view

LIFETIME = timedelta(hours=8)


class ViewTickets:
    """Makes and reads tickets for one app each."""

    def __init__(self, key: str) -> None:
        self._key = key

    def issue(self, app_id: str, now: datetime | None = None) -> str:
        """Return a ticket that lets its bearer look at one app for eight hours."""
        return view.sign(self._key, app_id, (now or datetime.now(UTC)) + LIFETIME)

    def allows(self, ticket: str, app_id: str) -> bool:
        """Tell whether the ticket is good for this app now."""
        return view.app_of(self._key, ticket) == app_id
