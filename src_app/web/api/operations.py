"""Operations: their progress, also as a stream, and cancelling them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from src_app.db.models import Operation
from src_app.db.queue import FINAL
from src_app.db.repositories import RepositoryFactory
from src_app.domain.errors import ConflictError, NotFoundError
from src_app.security.tokens import Identity
from src_app.services import audit
from src_app.services.manager import Manager
from src_app.web.api.shapes import operation_out
from src_app.web.problems import responses
from src_app.web.schemas import Name, OperationOut, OperationPage
from src_app.web.wiring import AnyUser, TheManager

router = APIRouter(tags=["operations"])
LOOK_S = 0.25  # what another process does is seen by looking; this one's own work is told
KEEP_ALIVE_S = 15.0
Status = Literal["queued", "running", "succeeded", "failed", "rolled_back", "cancelled"]


def _mine(db: RepositoryFactory, identity: Identity, operation_id: str) -> Operation:
    row = db.operations.find_by_id(operation_id)
    if row is None or not (identity.is_admin or row.user_id == identity.user_id):
        raise NotFoundError(f"There is no operation '{operation_id}'")
    return row


@router.get("/operations", responses=responses(401, 422))
def list_operations(
    identity: AnyUser,
    manager: TheManager,
    app: Name = None,
    status: Status | None = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=200)] = 20,
) -> OperationPage:
    """Return the operations that I asked for, newest first; an admin sees all."""
    told = {
        "subject": app,
        "status": status,
        "user_id": None if identity.is_admin else identity.user_id,
    }
    where = {key: value for key, value in told.items() if value is not None}
    found = manager.store.read(
        lambda db: db.operations.find_many(
            page=page, limit=per_page, order_by="-created_at", where=where
        )
    )
    return OperationPage(operations=[operation_out(r) for r in found.data], total=found.total)


@router.get("/operations/{operation_id}", responses=responses(401, 404))
def read(operation_id: str, identity: AnyUser, manager: TheManager) -> OperationOut:
    """Return one operation."""
    return manager.store.read(lambda db: operation_out(_mine(db, identity, operation_id)))


@router.post(
    "/operations/{operation_id}/cancel", status_code=202, responses=responses(401, 404, 409)
)
def cancel(operation_id: str, identity: AnyUser, manager: TheManager) -> OperationOut:
    """Ask an operation to stop after its present step and to undo what it did."""

    def ask(db: RepositoryFactory) -> OperationOut:
        row = _mine(db, identity, operation_id)
        if row.status in FINAL:
            raise ConflictError(f"The operation has ended already: it is {row.status}")
        db.operations.update(operation_id, {"cancel_requested": True})
        audit.add(db, "cancel", row.subject, user_id=identity.user_id)
        return operation_out(row)

    return manager.store.run(ask)


@router.get(
    "/operations/{operation_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {}}},
        **responses(401, 404),
    },
)
async def events(operation_id: str, identity: AnyUser, manager: TheManager) -> StreamingResponse:
    """Return the operation each time it changes, until it has ended."""
    first = await manager.store.aread(lambda db: operation_out(_mine(db, identity, operation_id)))
    return StreamingResponse(
        _changes(manager, first),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _changes(manager: Manager, first: OperationOut) -> AsyncIterator[str]:
    """Yield events until the operation is final; another process may be the one that does it."""
    shown, quiet_s = first, 0.0
    yield _event(first)
    with manager.context.news.followed(first.id) as news:
        while shown.status not in FINAL:
            news.clear()
            row = await manager.store.aread(lambda db: db.operations.get(first.id))
            now = operation_out(row)
            if now != shown:
                shown, quiet_s = now, 0.0
                yield _event(now)
            elif quiet_s >= KEEP_ALIVE_S:
                quiet_s = 0.0
                yield ": still here\n\n"
            elif not await _is_told(news):
                quiet_s += LOOK_S


async def _is_told(news: asyncio.Event) -> bool:
    """Return at the next change, or after ``LOOK_S``: whether this process knows of a change."""
    try:
        await asyncio.wait_for(news.wait(), LOOK_S)
    except TimeoutError:
        return False
    return True


def _event(operation: OperationOut) -> str:
    name = "end" if operation.status in FINAL else "progress"
    return f"event: {name}\ndata: {json.dumps(operation.model_dump())}\n\n"
