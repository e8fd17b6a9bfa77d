"""The shop's API."""

from __future__ import annotations

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shop.db import Note, Product, SessionLocal, get_db

Database = Annotated[Session, Depends(get_db)]


def note(text: str) -> None:
    """Write a note in a session of its own: the request's is closed by now."""
    with SessionLocal() as session:
        session.add(Note(text=text))
        session.commit()


def create_app() -> FastAPI:
    """Return the app; each test may have its own."""
    app = FastAPI()

    @app.post("/products/{name}", status_code=201)
    def add(name: str, db: Database, background: BackgroundTasks, stock: int = 0) -> dict[str, int]:
        product = Product(name=name, stock=stock)
        db.add(product)
        try:
            db.commit()
        except IntegrityError as exc:
            db.rollback()
            raise HTTPException(409, "that name is taken, or the stock is negative") from exc
        background.add_task(note, f"added {name}")
        return {"id": product.id}

    @app.post("/products/{name}/sale")
    def sell(name: str, db: Database, count: int = 1) -> dict[str, int]:
        product = db.scalars(select(Product).where(Product.name == name)).one()
        db.add(Note(text=f"selling {count} of {name}"))
        db.flush()
        product.stock -= count
        try:
            db.commit()
        except IntegrityError as exc:
            db.rollback()  # the note goes too
            raise HTTPException(409, "not enough in stock") from exc
        return {"stock": product.stock}

    @app.get("/products")
    def products(db: Database) -> list[str]:
        return list(db.scalars(select(Product.name).order_by(Product.name)))

    return app
