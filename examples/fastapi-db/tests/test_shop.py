"""The shop's tests: each one starts from an empty database, whatever the others committed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from shop.db import Note, Product, SessionLocal
from shop.main import create_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session


@pytest.fixture
def client(db_session: Session) -> Iterator[TestClient]:
    """A client of a new app, inside the test's transaction."""
    with TestClient(create_app()) as client:
        yield client


def test_product_is_committed(client: TestClient, db_session: Session) -> None:
    assert client.post("/products/lamp?stock=3").status_code == 201
    assert db_session.scalars(select(Product.name)).all() == ["lamp"]


@pytest.mark.parametrize("again", [1, 2, 3])
def test_every_test_starts_empty(again: int, client: TestClient) -> None:
    assert client.get("/products").json() == []
    assert client.post("/products/lamp").status_code == 201


def test_app_sees_what_the_test_wrote(client: TestClient, db_session: Session) -> None:
    db_session.add(Product(name="chair", stock=1))
    db_session.flush()
    assert client.get("/products").json() == ["chair"]


def test_second_product_of_that_name_is_refused(client: TestClient) -> None:
    client.post("/products/lamp")
    assert client.post("/products/lamp").status_code == 409
    assert client.get("/products").json() == ["lamp"]


def test_sale_that_fails_is_rolled_back(client: TestClient, db_session: Session) -> None:
    client.post("/products/lamp?stock=1")
    assert client.post("/products/lamp/sale?count=2").status_code == 409
    assert db_session.scalar(select(Product.stock)) == 1
    assert db_session.scalars(select(Note.text)).all() == ["added lamp"]


def test_background_task_is_seen_and_undone(client: TestClient, db_session: Session) -> None:
    client.post("/products/lamp")
    assert db_session.scalars(select(Note.text)).all() == ["added lamp"]


def test_app_code_without_a_request_is_isolated_too(db_session: Session) -> None:
    with SessionLocal() as session:
        session.add(Product(name="direct"))
        session.commit()
    assert db_session.scalar(select(func.count(Product.id))) == 1
