"""How Alembic reaches the database: by the connection it was given, else by its URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from src_app.db.models import Base


def run(connection: Connection) -> None:
    """Migrate over ``connection``; SQLite changes tables by copying them."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.config.get_main_option("sqlalchemy.url") or ""
    with create_engine(url).begin() as opened:
        run(opened)
