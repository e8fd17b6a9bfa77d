"""Page objects: what a person sees and does, by the names that the plan uses."""

from __future__ import annotations

from e2e_tests.pages.canvas import AppCanvasPage
from e2e_tests.pages.dashboard import DashboardPage
from e2e_tests.pages.dialogs import ConfirmDialog, TaskDialog
from e2e_tests.pages.login import LoginPage
from e2e_tests.pages.store import AppStorePage, DeploymentModalPage
from e2e_tests.pages.view import VIEWS, ViewPage

__all__ = [
    "VIEWS",
    "AppCanvasPage",
    "AppStorePage",
    "ConfirmDialog",
    "DashboardPage",
    "DeploymentModalPage",
    "LoginPage",
    "TaskDialog",
    "ViewPage",
]
