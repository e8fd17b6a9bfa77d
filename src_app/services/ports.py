"""Ports of apps: a reservation is a row, so two apps never get the same one."""

from __future__ import annotations

from src_app.configuration import Span
from src_app.db.errors import ConflictError
from src_app.db.models import PortReservation
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import AppOperationError

PURPOSES = ("public", "internal")


class PortManager:
    """Hands out one port of each span to an app."""

    def __init__(self, public: Span, internal: Span) -> None:
        self._spans = dict(zip(PURPOSES, (public, internal), strict=True))

    def assign_next_available_ports(self, db: RepositoryFactory, app_id: str) -> tuple[int, int]:
        """Return the app's public and internal port: those it has, else the first free ones.

        Raises:
            AppOperationError: all are taken.
        """
        held = {row.purpose: row.port for row in _of(db, app_id)}
        public, internal = (
            held[purpose] if purpose in held else self._take(db, app_id, purpose)
            for purpose in PURPOSES
        )
        return public, internal

    def release_ports_for_app(self, db: RepositoryFactory, app_id: str) -> int:
        """Return how many ports of the app are free again."""
        return db.ports.delete_many({"app_id": app_id})

    def _take(self, db: RepositoryFactory, app_id: str, purpose: str) -> int:
        span = self._spans[purpose]
        taken = db.taken_ports()
        for port in range(span.first, span.last + 1):
            if port in taken:
                continue
            try:
                db.ports.create({"port": port, "purpose": purpose, "app_id": app_id})
            except ConflictError:
                continue  # another process was faster
            return port
        raise AppOperationError(
            f"All {purpose} ports from {span.first} to {span.last} are taken; "
            f"widen APP_{purpose.upper()}_PORTS"
        )


def _of(db: RepositoryFactory, app_id: str) -> tuple[PortReservation, ...]:
    return db.ports.find_many(where={"app_id": app_id}).data
