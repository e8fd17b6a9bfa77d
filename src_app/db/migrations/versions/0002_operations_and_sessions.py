"""What durable operations, logins and schedules need."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _column(name: str, kind: Any, default: Any) -> sa.Column[Any]:
    """Return a column that rows from before get a value for."""
    return sa.Column(name, kind, nullable=False, server_default=default)


def _columns() -> None:
    with op.batch_alter_table("apps") as table:
        table.alter_column("node", existing_type=sa.String(length=63), nullable=True)
        table.add_column(sa.Column("address", sa.String(length=45), nullable=True))
        table.add_column(sa.Column("latest_version", sa.String(length=32), nullable=True))
    with op.batch_alter_table("backups") as table:
        table.add_column(_column("notes", sa.Text(), ""))
        table.add_column(_column("protected", sa.Boolean(), sa.false()))
        table.add_column(_column("origin", sa.String(length=16), "manual"))
    with op.batch_alter_table("operations") as table:
        table.add_column(_column("subject", sa.String(length=255), ""))
        table.add_column(_column("attempts", sa.Integer(), "0"))
        table.add_column(_column("cancel_requested", sa.Boolean(), sa.false()))
        table.add_column(sa.Column("worker", sa.String(length=255), nullable=True))
        for name in ("lease_until", "not_before"):
            table.add_column(sa.Column(name, MOMENT, nullable=True))
        table.create_index(op.f("ix_operations_subject"), ["subject"])


def _operation_locks() -> None:
    op.create_table(
        "operation_locks",
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint(
            "length(subject) > 0", name=op.f("ck_operation_locks_subject_not_empty")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operations.id"],
            name=op.f("fk_operation_locks_operation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_operation_locks")),
    )
    op.create_index(op.f("ix_operation_locks_operation_id"), "operation_locks", ["operation_id"])


def _guest_claims() -> None:
    op.create_table(
        "guest_claims",
        sa.Column("vmid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("upid", sa.String(length=255), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "vmid BETWEEN 100 AND 999999999", name=op.f("ck_guest_claims_vmid_range")
        ),
        sa.CheckConstraint("length(nonce) > 0", name=op.f("ck_guest_claims_nonce_not_empty")),
        sa.PrimaryKeyConstraint("vmid", name=op.f("pk_guest_claims")),
    )


def _refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"])
    op.create_index(op.f("ix_refresh_tokens_user_id"), "refresh_tokens", ["user_id"])


def _login_failures() -> None:
    op.create_table(
        "login_failures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_failures")),
    )
    op.create_index(op.f("ix_login_failures_subject_at"), "login_failures", ["subject", "at"])


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=True),
        sa.Column("last_result", sa.Text(), nullable=False),
        sa.CheckConstraint("length(kind) > 0", name=op.f("ck_schedules_kind_not_empty")),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_schedules")),
    )


def upgrade() -> None:
    """Add the columns and tables."""
    _columns()
    _operation_locks()
    _guest_claims()
    _refresh_tokens()
    _login_failures()
    _schedules()


def downgrade() -> None:
    """Remove them again."""
    for table in (
        "schedules",
        "login_failures",
        "refresh_tokens",
        "guest_claims",
        "operation_locks",
    ):
        op.drop_table(table)
    with op.batch_alter_table("operations") as batch:
        batch.drop_index(op.f("ix_operations_subject"))
        for name in "not_before lease_until worker cancel_requested attempts subject".split():
            batch.drop_column(name)
    with op.batch_alter_table("backups") as batch:
        for name in ("origin", "protected", "notes"):
            batch.drop_column(name)
    with op.batch_alter_table("apps") as batch:
        batch.drop_column("latest_version")
        batch.drop_column("address")
        batch.alter_column("node", existing_type=sa.String(length=63), nullable=False)
