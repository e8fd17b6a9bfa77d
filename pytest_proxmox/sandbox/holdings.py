"""Holdings: the blocks that this machine's runs hold on clusters, as the ledger has them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pytest_proxmox.sandbox.book import Book
from pytest_proxmox.sandbox.pools import block_pool, lease_pool
from pytest_proxmox.sandbox.rows import vmids_of
from pytest_proxmox.values import LeaseId, VmidRange


class Hold(StrEnum):
    """What a run has of a block: ``TAKING`` is written before the first POST.

    ``GIVING`` is written before the first DELETE: from then on nobody makes anything in it.
    """

    TAKING = "taking"
    HELD = "held"
    GIVING = "giving"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of ten VMIDs that a run holds by the pool ``lease_pool``."""

    target: str
    span: VmidRange
    parent: str
    nonce: LeaseId
    run: str
    expires: float
    hold: Hold = Hold.TAKING

    @property
    def pool(self) -> str:
        """The block's own pool: making it is what decides between machines."""
        return block_pool(self.parent, self.span)

    @property
    def lease_pool(self) -> str:
        """The pool that guests of the block go into."""
        return lease_pool(self.parent, self.span, self.nonce)


class Holdings:
    """The rows about blocks; written before the pool that they announce is made."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def put(self, block: Block) -> Block:
        """Return the block, written down as it is now."""
        with self._book.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO blocks"
                " (target, first, last, parent, nonce, run, expires, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    block.target,
                    int(block.span.first),
                    int(block.span.last),
                    block.parent,
                    block.nonce,
                    block.run,
                    block.expires,
                    block.hold,
                ),
            )
        return block

    def drop(self, block: Block) -> None:
        """Forget a block that the run does not hold any more."""
        with self._book.writing() as db:
            db.execute(
                "DELETE FROM blocks WHERE target = ? AND nonce = ?", (block.target, block.nonce)
            )

    def blocks(self, target: str, run: str | None = None) -> list[Block]:
        """Return what a run, or every run, has on a target, by VMID."""
        rows = self._book.read(
            "SELECT * FROM blocks WHERE target = ? AND (? IS NULL OR run = ?) ORDER BY first",
            target,
            run,
            run,
        )
        return [
            Block(
                row["target"],
                vmids_of(row),
                row["parent"],
                LeaseId(row["nonce"]),
                row["run"],
                row["expires"],
                Hold(row["state"]),
            )
            for row in rows
        ]
