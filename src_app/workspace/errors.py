"""What can be wrong with a workspace, and what its user can do."""

from __future__ import annotations

from pathlib import Path

from src_app.domain.errors import AppManagerError


class WorkspaceError(AppManagerError):
    """Anything that is wrong with a workspace."""

    code = "workspace"


class NoWorkspace(WorkspaceError):
    """There is none in the folder, nor above it."""

    @classmethod
    def at(cls, folder: Path) -> NoWorkspace:
        """Return the error for a folder."""
        return cls(f"There is no workspace in {folder} or above it. Make one with /init.")


class WorkspaceExists(WorkspaceError):
    """The folder has a workspace already."""

    @classmethod
    def at(cls, folder: Path) -> WorkspaceExists:
        """Return the error for a folder."""
        return cls(f"{folder} is a workspace already. Use it, or make the new one elsewhere.")


class WorkspaceLocked(WorkspaceError):
    """Another process changes the workspace."""

    @classmethod
    def by(cls, holder: str, folder: Path) -> WorkspaceLocked:
        """Return the error for a folder that ``holder`` works on."""
        return cls(
            f"The workspace {folder} is in use by {holder or 'another process'}. "
            "Try again when it has ended."
        )


class WorkspaceTooNew(WorkspaceError):
    """A later console made the workspace."""


class ConfigCorrupt(WorkspaceError):
    """The config is not whole, or not what a config is."""


class WorkspaceCorrupt(WorkspaceError):
    """A part is damaged, and no good copy of it is left."""
