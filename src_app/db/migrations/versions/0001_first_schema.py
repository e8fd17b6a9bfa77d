"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("version", sa.String(length=32), nullable=True),
        sa.Column("cpu_count", sa.Integer(), nullable=False),
        sa.Column("cpu_usage", sa.Double(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("memory_used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("uptime_s", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('online', 'offline', 'unknown')", name=op.f("ck_nodes_status_word")
        ),
        sa.CheckConstraint("cpu_count >= 0", name=op.f("ck_nodes_cpu_count_not_negative")),
        sa.CheckConstraint("length(id) > 0", name=op.f("ck_nodes_id_not_empty")),
        sa.CheckConstraint("memory_bytes >= 0", name=op.f("ck_nodes_memory_bytes_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )


def _settings() -> None:
    op.create_table(
        "settings",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(key) > 0", name=op.f("ck_settings_key_not_empty")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )


def _state_snapshots() -> None:
    op.create_table(
        "state_snapshots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resource_type", sa.String(length=16), nullable=False),
        sa.Column("resource_id", sa.String(length=255), nullable=False),
        sa.Column("resource_data", sa.JSON(), nullable=False),
        sa.Column("change_type", sa.String(length=16), nullable=False),
        sa.CheckConstraint(
            "change_type IN ('created', 'updated', 'deleted', 'discovered')",
            name=op.f("ck_state_snapshots_change_type_word"),
        ),
        sa.CheckConstraint(
            "length(resource_id) > 0", name=op.f("ck_state_snapshots_resource_id_not_empty")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_snapshots")),
    )
    with op.batch_alter_table("state_snapshots", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_state_snapshots_resource_type_resource_id_taken_at"),
            ["resource_type", "resource_id", "taken_at"],
            unique=False,
        )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("ck_users_role_word")),
        sa.CheckConstraint(
            "length(username) BETWEEN 3 AND 50", name=op.f("ck_users_username_length")
        ),
        sa.CheckConstraint("username = lower(username)", name=op.f("ck_users_username_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )


def _apps() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("catalog_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hostname", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_text", sa.Text(), nullable=True),
        sa.Column("node", sa.String(length=63), nullable=False),
        sa.Column("vmid", sa.Integer(), nullable=True),
        sa.Column("url", sa.String(length=255), nullable=True),
        sa.Column("iframe_url", sa.String(length=255), nullable=True),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("sealed_root_password", sa.LargeBinary(), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('deploying', 'running', 'stopped', 'error', 'updating', "
            "'update_failed', 'removing', 'cloning', 'adopting', 'restoring')",
            name=op.f("ck_apps_status_word"),
        ),
        sa.CheckConstraint("cores BETWEEN 1 AND 16", name=op.f("ck_apps_cores_range")),
        sa.CheckConstraint("disk_gib BETWEEN 1 AND 500", name=op.f("ck_apps_disk_gib_range")),
        sa.CheckConstraint(
            "length(hostname) BETWEEN 3 AND 63", name=op.f("ck_apps_hostname_length")
        ),
        sa.CheckConstraint(
            "memory_mib BETWEEN 128 AND 32768", name=op.f("ck_apps_memory_mib_range")
        ),
        sa.CheckConstraint("vmid BETWEEN 100 AND 999999999", name=op.f("ck_apps_vmid_range")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_apps_owner_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apps")),
        sa.UniqueConstraint("hostname", name=op.f("uq_apps_hostname")),
        sa.UniqueConstraint("vmid", name=op.f("uq_apps_vmid")),
    )
    with op.batch_alter_table("apps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_apps_owner_id"), ["owner_id"], unique=False)


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(action) > 0", name=op.f("ck_audit_log_action_not_empty")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_audit_log_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_log_at"), ["at"], unique=False)


def _containers() -> None:
    op.create_table(
        "containers",
        sa.Column("hostname", sa.String(length=253), nullable=False),
        sa.Column("ostype", sa.String(length=32), nullable=True),
        sa.Column("unprivileged", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("uptime_s", sa.BigInteger(), nullable=False),
        sa.Column("is_template", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'stopped', 'paused', 'suspended', 'prelaunch', 'io-error', "
            "'internal-error', 'postmigrate', 'inmigrate', 'finish-migrate', 'save-vm', "
            "'restore-vm', 'debug', 'watchdog', 'guest-panicked', 'shutdown', 'unknown')",
            name=op.f("ck_containers_status_word"),
        ),
        sa.CheckConstraint("cores BETWEEN 1 AND 8192", name=op.f("ck_containers_cores_range")),
        sa.CheckConstraint("disk_bytes >= 0", name=op.f("ck_containers_disk_bytes_not_negative")),
        sa.CheckConstraint("id BETWEEN 100 AND 999999999", name=op.f("ck_containers_id_range")),
        sa.CheckConstraint("length(hostname) > 0", name=op.f("ck_containers_hostname_not_empty")),
        sa.CheckConstraint(
            "memory_bytes >= 0", name=op.f("ck_containers_memory_bytes_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_containers_node_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_containers")),
    )
    with op.batch_alter_table("containers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_containers_node_id"), ["node_id"], unique=False)


def _storages() -> None:
    op.create_table(
        "storages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_storages_name_not_empty")),
        sa.CheckConstraint("length(type) > 0", name=op.f("ck_storages_type_not_empty")),
        sa.CheckConstraint("total_bytes >= 0", name=op.f("ck_storages_total_bytes_not_negative")),
        sa.CheckConstraint("used_bytes >= 0", name=op.f("ck_storages_used_bytes_not_negative")),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_storages_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storages")),
        sa.UniqueConstraint("node_id", "name", name=op.f("uq_storages_node_id_name")),
    )


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("exitstatus", sa.Text(), nullable=True),
        sa.Column("vmid", sa.Integer(), nullable=True),
        sa.Column("user", sa.String(length=100), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("node_id", sa.String(length=63), nullable=False),
        sa.CheckConstraint("id LIKE 'UPID:%'", name=op.f("ck_tasks_id_upid")),
        sa.CheckConstraint("status IN ('running', 'stopped')", name=op.f("ck_tasks_status_word")),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_tasks_node_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tasks_node_id"), ["node_id"], unique=False)


def _vms() -> None:
    op.create_table(
        "vms",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("node_id", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("uptime_s", sa.BigInteger(), nullable=False),
        sa.Column("is_template", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'stopped', 'paused', 'suspended', 'prelaunch', 'io-error', "
            "'internal-error', 'postmigrate', 'inmigrate', 'finish-migrate', 'save-vm', "
            "'restore-vm', 'debug', 'watchdog', 'guest-panicked', 'shutdown', 'unknown')",
            name=op.f("ck_vms_status_word"),
        ),
        sa.CheckConstraint("cores BETWEEN 1 AND 8192", name=op.f("ck_vms_cores_range")),
        sa.CheckConstraint("disk_bytes >= 0", name=op.f("ck_vms_disk_bytes_not_negative")),
        sa.CheckConstraint("id BETWEEN 100 AND 999999999", name=op.f("ck_vms_id_range")),
        sa.CheckConstraint("memory_bytes >= 0", name=op.f("ck_vms_memory_bytes_not_negative")),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_vms_node_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vms")),
    )
    with op.batch_alter_table("vms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vms_node_id"), ["node_id"], unique=False)


def _backups() -> None:
    op.create_table(
        "backups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("volid", sa.String(length=255), nullable=True),
        sa.Column("storage", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("compress", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("app_name", sa.String(length=100), nullable=False),
        sa.Column("app_hostname", sa.String(length=63), nullable=False),
        sa.Column("app_facts", sa.JSON(), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('creating', 'available', 'failed', 'restoring', 'deleting')",
            name=op.f("ck_backups_status_word"),
        ),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_backups_size_bytes_not_negative")),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_backups_app_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_backups_owner_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backups")),
        sa.UniqueConstraint("volid", name=op.f("uq_backups_volid")),
    )
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backups_app_id"), ["app_id"], unique=False)


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("log", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("app_id", sa.String(length=128), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('deploy', 'start', 'stop', 'restart', 'delete', 'clone', 'configure', "
            "'backup', 'restore', 'update', 'rollback', 'adopt', 'sync')",
            name=op.f("ck_operations_kind_word"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'rolled_back', 'cancelled')",
            name=op.f("ck_operations_status_word"),
        ),
        sa.CheckConstraint("percent BETWEEN 0 AND 100", name=op.f("ck_operations_percent_range")),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_operations_app_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_operations_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operations_app_id"), ["app_id"], unique=False)


def _port_reservations() -> None:
    op.create_table(
        "port_reservations",
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.CheckConstraint(
            "port BETWEEN 1 AND 65535", name=op.f("ck_port_reservations_port_range")
        ),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_port_reservations_app_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("port", name=op.f("pk_port_reservations")),
    )
    with op.batch_alter_table("port_reservations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_port_reservations_app_id"), ["app_id"], unique=False)


def upgrade() -> None:
    """Make all tables, those that others refer to first."""
    _nodes()
    _settings()
    _state_snapshots()
    _users()
    _apps()
    _audit_log()
    _containers()
    _storages()
    _tasks()
    _vms()
    _backups()
    _operations()
    _port_reservations()


def downgrade() -> None:
    """Remove all tables, those that refer to others first."""
    op.drop_table("port_reservations")
    op.drop_table("operations")
    op.drop_table("backups")
    op.drop_table("vms")
    op.drop_table("tasks")
    op.drop_table("storages")
    op.drop_table("containers")
    op.drop_table("audit_log")
    op.drop_table("apps")
    op.drop_table("users")
    op.drop_table("state_snapshots")
    op.drop_table("settings")
    op.drop_table("nodes")
