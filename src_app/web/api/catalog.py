"""The catalog."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from src_app.domain.errors import NotFoundError
from src_app.web.api.shapes import entry_out
from src_app.web.problems import responses
from src_app.web.schemas import CatalogOut, CatalogReport, EntryOut, SkippedOut
from src_app.web.wiring import Admin, AnyUser, TheManager

router = APIRouter(tags=["catalog"])
Search = Annotated[str, Query(max_length=200)]


@router.get("/apps/catalog", responses=responses(401, 422))
def search(
    _: AnyUser,
    manager: TheManager,
    q: Search = "",
    category: Annotated[str | None, Query(max_length=64)] = None,
) -> CatalogOut:
    """Return the entries that match, and the categories there are."""
    catalog = manager.context.catalog
    found = [entry_out(entry) for entry in catalog.search(q, category=category)]
    return CatalogOut(items=found, categories=catalog.categories(), total=len(found))


@router.post("/apps/catalog/reload", responses=responses(401, 403))
def reload(_: Admin, manager: TheManager) -> CatalogReport:
    """Read the catalog's files again; those that are no entries are skipped and named."""
    problems = manager.context.catalog.reload()
    skipped = [SkippedOut(file=problem.file, text=problem.text) for problem in problems]
    return CatalogReport(total=len(manager.context.catalog.search()), skipped=skipped)


@router.get("/apps/catalog/{catalog_id}", responses=responses(401, 404))
def read(catalog_id: str, _: AnyUser, manager: TheManager) -> EntryOut:
    """Return one entry."""
    entry = manager.context.catalog.find(catalog_id)
    if entry is None:
        raise NotFoundError(f"The catalog has no entry '{catalog_id}'")
    return entry_out(entry)
