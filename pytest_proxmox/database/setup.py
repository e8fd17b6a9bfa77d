"""From the ini keys to an installed isolation: schema, database, bindings, overrides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, MetaData, make_url
from sqlalchemy.schema import CreateTable

from pytest_proxmox.database import bindings, overrides, urls
from pytest_proxmox.database.isolation import Isolation
from pytest_proxmox.database.options import DEFAULT_URL, DatabaseOptions
from pytest_proxmox.database.state import Inspector
from pytest_proxmox.database.stores import PostgresStore, SqliteStore, Store
from pytest_proxmox.errors import InvalidValue


def load_metadata(options: DatabaseOptions) -> MetaData | None:
    """Return the MetaData that the ini key names; None where migrations make the schema.

    Raises:
        InvalidValue: the key is missing, or names something else.
    """
    if not options.metadata:
        if options.migrations:
            return None
        raise InvalidValue(
            "the test database has no schema: nothing names the app's MetaData",
            origin="ini key db_metadata",
            hint="Set db_metadata = package.models:Base.metadata, or override the fixture",
        )
    found = bindings.resolve(options.metadata, origin="ini key db_metadata")
    found = getattr(found, "metadata", found)
    if not isinstance(found, MetaData):
        raise InvalidValue(
            f'"{options.metadata}" is a {type(found).__name__}, not a MetaData',
            origin="ini key db_metadata",
            hint="Name Base.metadata, e.g. package.models:Base.metadata",
        )
    return found


def load_bindings(options: DatabaseOptions) -> list[bindings.Binding]:
    """Return what the ini key ``db_bind`` names."""
    origin = "ini key db_bind"
    return [
        bindings.bind_of(name, bindings.resolve(name, origin=origin), origin=origin)
        for name in options.bind
    ]


def choose_url(options: DatabaseOptions) -> str:
    """Return ``db_url``; without it the kind of database that the bound engine speaks."""
    if options.url:
        return options.url
    engines = [binding.engine for binding in load_bindings(options) if binding.engine is not None]
    return engines[0].url.get_backend_name() if engines else DEFAULT_URL


@contextmanager
def isolated_database(
    options: DatabaseOptions,
    *,
    metadata: MetaData | None,
    url: str,
    worker: str,
    folder: Path,
    root: Path,
) -> Iterator[Isolation]:
    """Yield the isolation of this worker's database; all is undone and removed afterwards.

    Raises:
        DatabaseRefused: ``url`` is not marked as a test database.
    """
    parsed = urls.parse(url, origin="ini key db_url")
    urls.guard(parsed, allow=options.allow, origin="ini key db_url")
    bound = load_bindings(options)
    named = [(n, bindings.resolve(n, origin="ini key db_override")) for n in options.override]
    make_schema = _schema_maker(metadata, options.migrations, root)
    store = _make_store(parsed, make_schema, worker, folder, _schema_text(metadata, options, root))
    isolation = Isolation(
        store,
        inspector=Inspector(store),
        bindings=bound,
        aliases=[urls.Place.of(parsed)],
        allow=options.allow,
        worker=worker,
    )
    try:
        isolation.install()
        undo = overrides.install(isolation, named)
        try:
            yield isolation
        finally:
            undo()
            isolation.uninstall()
    finally:
        store.close()


def _make_store(
    url: URL, make_schema: Callable[[Engine], None], worker: str, folder: Path, text: str
) -> Store:
    if url.get_backend_name() == "sqlite":
        place = urls.Place.of(url)
        if place.name == ":memory:":
            return SqliteStore(None, make_schema)
        return SqliteStore(folder / f"{worker}-{Path(place.name).name}", make_schema)
    given = url if url.host or url.query or url.database else None
    return PostgresStore(given, make_schema, worker=worker, fingerprint=text)


def _schema_maker(
    metadata: MetaData | None, migrations: str, root: Path
) -> Callable[[Engine], None]:
    def make(engine: Engine) -> None:
        if migrations:
            _upgrade(engine, root / migrations)
        elif metadata is not None:
            metadata.create_all(engine)

    return make


def _upgrade(engine: Engine, ini: Path) -> None:
    """Run ``alembic upgrade head``: env.py gets a connection, and the URL in any case."""
    try:
        from alembic import command
        from alembic.config import Config
    except ImportError as exc:
        raise InvalidValue(
            f"{ini} cannot be run: alembic is not installed",
            origin="ini key db_migrations",
            hint="Run: pip install alembic",
        ) from exc
    config = Config(str(ini))
    plain = engine.url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", plain.replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _schema_text(metadata: MetaData | None, options: DatabaseOptions, root: Path) -> str:
    """Return what tells one schema from another: a template is made again when it differs."""
    parts: list[str] = []
    if metadata is not None:
        dialect = make_url("postgresql+psycopg://").get_dialect()()
        parts += [str(CreateTable(t).compile(dialect=dialect)) for t in metadata.sorted_tables]
        parts += [repr(i.columns.keys()) for t in metadata.sorted_tables for i in t.indexes]
    if options.migrations:
        folder = (root / options.migrations).parent
        for path in sorted(folder.rglob("*.py")):
            parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return "\n".join(parts)
