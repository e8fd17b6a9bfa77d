"""Workspaces: a folder with a config, a database and what is made from them, kept whole."""

from src_app.workspace.config import WorkspaceConfig
from src_app.workspace.project import ProjectWorkspace

__all__ = ["ProjectWorkspace", "WorkspaceConfig"]
