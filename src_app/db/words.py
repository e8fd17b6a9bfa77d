"""The words that status columns may hold, as tables, and the checks made from them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint

NODE_STATUS = ("online", "offline", "unknown")
GUEST_STATUS = (
    "running", "stopped", "paused", "suspended", "prelaunch", "io-error", "internal-error",
    "postmigrate", "inmigrate", "finish-migrate", "save-vm", "restore-vm", "debug", "watchdog",
    "guest-panicked", "shutdown", "unknown",
)  # fmt: skip
GUEST_KIND = ("vm", "container")
CHANGE_ACTION = ("create", "configure", "start", "stop", "delete")
CHANGE_STATUS = ("pending", "begun", "done", "failed", "undone", "given_up")
TASK_STATUS = ("running", "stopped")
CHANGE_TYPE = ("created", "updated", "deleted", "discovered")
ROLE = ("user", "admin")
APP_STATUS = (
    "deploying", "running", "stopped", "error", "updating", "update_failed", "removing",
    "cloning", "adopting", "restoring",
)  # fmt: skip
BACKUP_STATUS = ("creating", "available", "failed", "restoring", "deleting")
OPERATION_KIND = (
    "deploy", "start", "stop", "restart", "delete", "clone", "configure", "backup", "restore",
    "update", "rollback", "adopt", "sync",
)  # fmt: skip
OPERATION_STATUS = ("queued", "running", "succeeded", "failed", "rolled_back", "cancelled")
# What `pvesm` knows: a real node may answer with any of these.
STORAGE_TYPE = (
    "dir", "nfs", "cifs", "lvm", "lvmthin", "zfspool", "zfs", "btrfs", "pbs", "rbd", "cephfs",
    "iscsi", "iscsidirect", "glusterfs", "esxi",
)  # fmt: skip
STORAGE_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")
RESOURCE_TYPE = ("node", "vm", "container", "storage", "task")


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    """Return the check that a column holds one of ``words``."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_word")
