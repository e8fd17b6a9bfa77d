"""The data file is what the script makes of the facts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_proxmox.simulator.schema.catalog import DATA

SCRIPT = Path(__file__).parents[4] / "scripts" / "refresh_schema.py"
FACTS = os.environ.get("PVE_API_FACTS", "")  # path of the facts that the data file is made of


def distil(source: Path, dest: Path) -> str:
    subprocess.run([sys.executable, str(SCRIPT), str(source), str(dest)], check=True)
    return dest.read_text(encoding="utf-8")


def test_data_file_is_in_the_script_s_own_form(tmp_path: Path) -> None:
    rows = (line.split("\t", 1) for line in DATA.read_text(encoding="utf-8").splitlines())
    source = tmp_path / "facts.json"
    source.write_text(json.dumps({template: json.loads(verbs) for template, verbs in rows}))
    assert distil(source, tmp_path / "out.tsv") == DATA.read_text(encoding="utf-8")


@pytest.mark.skipif(not Path(FACTS).is_file(), reason="PVE_API_FACTS names no file of API facts")
def test_data_file_has_all_of_its_source(tmp_path: Path) -> None:
    assert distil(Path(FACTS), tmp_path / "out.tsv") == DATA.read_text(encoding="utf-8")
