"""All reports of a project, written to one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_proxmox.errors import InvalidValue
from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report import allure, dashboard, junit, markdown
from pytest_proxmox.report.coverage import Covered
from pytest_proxmox.report.dashboard import Lease
from pytest_proxmox.report.figures import Figures, gather

DASHBOARD = "dashboard.html"
JUNIT = "junit.xml"
ALLURE = "allure-results"
ALLURE_REPORT = "allure-report"  # where allure generate puts it when it is started in the folder


def read(place: Place, project: str = "") -> Figures:
    """Return the figures of a project; without a name, of the one that ran last.

    Raises:
        InvalidValue: there is no history, or the project has no runs in it.
        HistoryUnusable: it cannot be read.
    """
    if not place.exists:
        raise InvalidValue(
            f"there is no history at {place}",
            hint="Run pytest with the extra 'flaky' first, or name another one with --history",
        )
    with History.open(place) as history:
        names = history.projects()
        found = gather(history, project or names[0]) if names else None
    if found is None:
        if not names:
            raise InvalidValue(
                f"the history at {place} has no runs at all",
                hint="Run pytest with the extra 'flaky' first",
            )
        raise InvalidValue(
            f'the history at {place} has no runs of "{project}"',
            origin="option --project",
            hint=f"Name one that it has: {', '.join(names)}",
        )
    return found


def write(
    place: Place,
    project: str,
    folder: Path,
    *,
    modules: Sequence[Covered] = (),
    leases: Sequence[Lease] = (),
) -> Path:
    """Write every report of a project and return the dashboard's path."""
    return write_figures(read(place, project), folder, modules=modules, leases=leases)


def write_figures(
    figures: Figures,
    folder: Path,
    *,
    modules: Sequence[Covered] = (),
    leases: Sequence[Lease] = (),
) -> Path:
    """Write every report of these figures and return the dashboard's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in markdown.documents(figures, modules).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / JUNIT).write_text(junit.render(figures), encoding="utf-8")
    allure.write(figures, folder / ALLURE)
    allure.keep_history(folder / ALLURE_REPORT, folder / ALLURE)
    allure.write_config(figures, folder)
    page = folder / DASHBOARD
    page.write_text(dashboard.render(figures, modules, leases), encoding="utf-8")
    return page
