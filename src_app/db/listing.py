"""Lists for pages: one query each, plain values, no objects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Row, Select, bindparam, func, literal, or_, select

from src_app.db.models import App, OperationLock, User
from src_app.db.repositories import RepositoryFactory

COLUMNS = (
    App.id, App.catalog_id, App.name, App.hostname, App.version, App.latest_version, App.status,
    App.status_text, App.node, App.vmid, App.url, App.iframe_url, App.address, App.cores,
    App.memory_mib, App.disk_gib, App.adopted, App.owner_id, App.config, App.created_at,
    App.updated_at,
)  # fmt: skip
APPS = (
    select(*COLUMNS, User.username.label("owner"), OperationLock.operation_id)
    .join(User, User.id == App.owner_id)
    .outerjoin(OperationLock, OperationLock.subject == literal("app:") + App.id)
)
SHOWN = tuple(column.name for column in APPS.selected_columns)


@dataclass(frozen=True, slots=True)
class AppFilter:
    """Which apps; None stands for all."""

    owner_id: int | None = None
    status: str | None = None
    node: str | None = None
    category: str | None = None
    search: str = ""


def list_apps(
    db: RepositoryFactory, wanted: AppFilter, *, page: int, per_page: int
) -> tuple[list[dict[str, Any]], int]:
    """Return one page of apps by name, each with the operation that works on it, and the total."""
    connection = db.session.connection()
    some, count = _statements(wanted)
    skipped = (page - 1) * per_page
    rows = [plain(row) for row in connection.execute(some, {"skip": skipped, "most": per_page})]
    if 0 < len(rows) < per_page:
        return rows, skipped + len(rows)  # the last page tells how many there are
    return rows, int(connection.scalar(count) or 0)


def read_app(db: RepositoryFactory, app_id: str) -> dict[str, Any] | None:
    """Return one app as the list shows it, or None."""
    row = db.session.connection().execute(APPS.where(App.id == app_id)).first()
    return None if row is None else plain(row)


@lru_cache(maxsize=256)
def _statements(wanted: AppFilter) -> tuple[Select[Any], Select[Any]]:
    """Return what reads a page, and what counts; to build them takes longer than to run them."""
    some = _where(APPS, wanted).order_by(App.hostname)
    some = some.offset(bindparam("skip", type_=Integer)).limit(bindparam("most", type_=Integer))
    return some, _where(select(func.count()).select_from(App), wanted)


def _where(query: Select[Any], wanted: AppFilter) -> Select[Any]:
    for column in ("owner_id", "status", "node"):
        value = getattr(wanted, column)
        if value is not None:
            query = query.where(getattr(App, column) == value)
    if wanted.category is not None:
        query = query.where(App.config["category"].as_string() == wanted.category)
    for word in wanted.search.split():
        like = f"%{_escaped(word)}%"
        columns = (App.hostname, App.name, App.catalog_id)
        query = query.where(or_(*(column.ilike(like, escape="\\") for column in columns)))
    return query


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def plain(row: Row[Any]) -> dict[str, Any]:
    """Return a row with what its config holds for pages, times as text."""
    found = dict(zip(SHOWN, row, strict=True))
    config = found.pop("config") or {}
    for name in ("port", "icon", "category", "previous_version"):
        found[name] = config.get(name)
    for name in ("created_at", "updated_at"):
        found[name] = found[name].isoformat()
    return found
