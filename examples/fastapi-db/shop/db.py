"""The shop's models and its global engine, as many apps have them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import CheckConstraint, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    """The shop's models."""


class Product(Base):
    """Something on sale."""

    __tablename__ = "products"
    __table_args__ = (CheckConstraint("stock >= 0", name="stock_not_negative"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    stock: Mapped[int] = mapped_column(default=0)


class Note(Base):
    """What happened, written after the answer was sent."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))


engine = create_engine("sqlite:///shop.db")
SessionLocal = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    """Yield a session for one request."""
    with SessionLocal() as session:
        yield session
