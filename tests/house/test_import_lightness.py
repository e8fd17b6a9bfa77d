"""An installed, unused plugin imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HEAVY = ("playwright", "sqlalchemy", "proxmoxer", "requests", "allure", "uvicorn", "cryptography")

RUN = """
import json, sys
import pytest

class Watch:
    active = False
    def pytest_collection_finish(self, session):
        self.active = session.config.pluginmanager.has_plugin("proxmox")

watch = Watch()
code = pytest.main(sys.argv[1:], plugins=[watch])
roots = sorted({name.partition(".")[0] for name in sys.modules})
print("\\n" + json.dumps({"code": int(code), "active": watch.active, "roots": roots}))
"""


def _heavy_after_a_run(folder: Path, suite: str) -> list[str]:
    """Return the heavy packages in memory after pytest ran ``suite`` with this plugin alone.

    Other plugins of the development environment are switched off: what they import is theirs.
    """
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_suite.py").write_text(suite)
    others = {point.name for point in entry_points(group="pytest11")} - {"proxmox", "asyncio"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, "-q", str(folder), *(f"-pno:{name}" for name in others)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["active"], done.stdout + done.stderr
    assert result["code"] == (0 if suite else 5), done.stdout + done.stderr
    return [name for name in HEAVY if name in result["roots"]]


@pytest.mark.parametrize("suite", ["", "def test_it(): pass\n"], ids=["empty", "one test"])
def test_an_unused_plugin_imports_nothing_heavy(tmp_path: Path, suite: str) -> None:
    assert _heavy_after_a_run(tmp_path, suite) == []


def test_a_heavy_import_would_be_seen(tmp_path: Path) -> None:
    assert "requests" in _heavy_after_a_run(tmp_path, "import requests\ndef test_it(): pass\n")
