"""Claims on guests that outlive the process: a row is there before Proxmox is asked."""

from __future__ import annotations

from sqlalchemy import select

from src_app.db.errors import ConflictError
from src_app.db.models import GuestClaim
from src_app.db.repositories import RepositoryFactory
from src_app.db.store import Store
from src_app.proxmox.ownership import Claim, Claims
from src_app.proxmox.tasks import Upid


class RecordedClaims(Claims):
    """The claims of all processes on one database."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def stake(self, claim: Claim) -> bool:
        """Write ``claim`` down before its POST; false where the VMID has a claim already."""
        values = {"vmid": claim.vmid, "node": claim.node, "nonce": claim.nonce}

        def insert(db: RepositoryFactory) -> None:
            db.claims.create(values)

        try:
            self._store.run(insert)
        except ConflictError:
            return False
        return True

    def confirm(self, claim: Claim, upid: Upid) -> None:
        """Write down the task that Proxmox answered the claim's POST with."""

        def update(db: RepositoryFactory) -> None:
            row = db.claims.find_by_id(claim.vmid)
            if row is not None and row.nonce == claim.nonce:
                row.upid = str(upid)

        self._store.run(update)

    def drop(self, claim: Claim | None) -> None:
        """Forget a claim whose guest is gone, unless its VMID was claimed anew meanwhile."""
        if claim is None:
            return

        def delete(db: RepositoryFactory) -> None:
            row = db.claims.find_by_id(claim.vmid)
            if row is not None and row.nonce == claim.nonce:
                db.claims.delete(claim.vmid)

        self._store.run(delete)

    def get(self, vmid: int) -> Claim | None:
        """Return the claim on a VMID, ``None`` where there is none."""

        def read(db: RepositoryFactory) -> Claim | None:
            row = db.claims.find_by_id(vmid)
            return None if row is None else _claim(row)

        return self._store.read(read)

    def newest_first(self) -> list[Claim]:
        """Return every claim, the newest first."""

        def read(db: RepositoryFactory) -> list[Claim]:
            query = select(GuestClaim).order_by(GuestClaim.made_at.desc(), GuestClaim.vmid.desc())
            return [_claim(row) for row in db.session.scalars(query)]

        return self._store.read(read)


def _claim(row: GuestClaim) -> Claim:
    return Claim(row.node, row.vmid, row.nonce, Upid.parse(row.upid) if row.upid else None)
