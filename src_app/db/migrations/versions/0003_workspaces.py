"""What workspaces need: marks for what is gone, guests as they are wanted, steps to undo."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
SEEN = ("nodes", "vms", "containers", "storages")
KINDS = "kind IN ('vm', 'container')"
ACTIONS = "action IN ('create', 'configure', 'start', 'stop', 'delete')"
STATUSES = "status IN ('pending', 'begun', 'done', 'failed', 'undone', 'given_up')"
VMIDS = "vmid BETWEEN 100 AND 999999999"


def upgrade() -> None:
    """Add the columns and tables."""
    for name in SEEN:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("removed_at", MOMENT, nullable=True))
            if name in ("vms", "containers"):
                table.add_column(
                    sa.Column("config", sa.JSON(), nullable=False, server_default="{}")
                )
    _wanted_guests()
    _changes()


def _wanted_guests() -> None:
    op.create_table(
        "wanted_guests",
        sa.Column("vmid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("absent", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint(VMIDS, name=op.f("ck_wanted_guests_vmid_range")),
        sa.CheckConstraint(KINDS, name=op.f("ck_wanted_guests_kind_word")),
        sa.CheckConstraint("length(node) > 0", name=op.f("ck_wanted_guests_node_not_empty")),
        sa.PrimaryKeyConstraint("vmid", name=op.f("pk_wanted_guests")),
    )


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("vmid", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint(VMIDS, name=op.f("ck_changes_vmid_range")),
        sa.CheckConstraint(KINDS, name=op.f("ck_changes_kind_word")),
        sa.CheckConstraint(ACTIONS, name=op.f("ck_changes_action_word")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_changes_status_word")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_index(op.f("ix_changes_run"), "changes", ["run"])
    op.create_index(op.f("ix_changes_status"), "changes", ["status"])


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("changes")
    op.drop_table("wanted_guests")
    for name in SEEN:
        with op.batch_alter_table(name) as table:
            table.drop_column("removed_at")
            if name in ("vms", "containers"):
                table.drop_column("config")
