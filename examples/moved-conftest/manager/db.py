"""The manager's one table, and its global engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    """The manager's models."""


class App(Base):
    """An app that was deployed."""

    __tablename__ = "apps"
    hostname: Mapped[str] = mapped_column(String(63), primary_key=True)
    vmid: Mapped[int] = mapped_column(unique=True)


engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///manager.db"))
SessionLocal = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    """Yield a session for one request."""
    with SessionLocal() as session:
        yield session
