"""The manager's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import Session

from manager.db import App, Base, engine, get_db
from manager.proxmox import ProxmoxError, ProxmoxService, get_service

Database = Annotated[Session, Depends(get_db)]
Service = Annotated[ProxmoxService, Depends(get_service)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables that are missing."""
    Base.metadata.create_all(engine)
    yield


def create_app() -> FastAPI:
    """Return the app."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/apps")
    def apps(db: Database, service: Service) -> dict[str, str]:
        return {row.hostname: service.get_lxc_status(row.vmid) for row in db.scalars(select(App))}

    @app.post("/apps/{hostname}", status_code=201)
    def deploy(
        hostname: str, db: Database, service: Service, vmid: int | None = None
    ) -> dict[str, int]:
        if db.get(App, hostname):
            raise HTTPException(409, f"{hostname} is deployed already")
        try:
            row = App(hostname=hostname, vmid=service.create_lxc(hostname, vmid))
        except ProxmoxError as exc:
            raise HTTPException(502, str(exc)) from exc
        db.add(row)
        db.commit()
        return {"vmid": row.vmid}

    @app.delete("/apps/{hostname}", status_code=204)
    def delete(hostname: str, db: Database, service: Service) -> None:
        row = db.get(App, hostname)
        if row is None:
            raise HTTPException(404, f"there is no {hostname}")
        service.destroy_lxc(row.vmid)
        db.delete(row)
        db.commit()

    return app
