"""``pytest-proxmox schema``: prints what the files that the commands write keep to."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from pytest_proxmox.cli.main import BAD_INPUT, main
from pytest_proxmox.cli.schema import NAMES
from pytest_proxmox.simulator.documents import SCHEMAS
from tests.unit.cli.test_serve import serving


def test_every_schema_has_a_name_here() -> None:
    assert list(NAMES) == list(SCHEMAS)


@pytest.mark.parametrize("name", list(NAMES))
def test_a_schema_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMAS[name]()


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]} == set(NAMES)


def test_an_unknown_name_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "moon"])
    assert ended.value.code == BAD_INPUT
    assert "choose from" in capsys.readouterr().err


def test_what_serve_writes_is_valid(tmp_path: Path) -> None:
    ready_file, state_file = tmp_path / "ready.json", tmp_path / "state.json"
    with serving("--state", str(state_file), ready_file=ready_file) as process:
        ready = json.loads(ready_file.read_text())
        process.terminate()
        process.wait(60)
    assert list(jsonschema_rs.Draft202012Validator(SCHEMAS["ready"]()).iter_errors(ready)) == []
    jsonschema_rs.validate(SCHEMAS["state"](), json.loads(state_file.read_text()))


@pytest.mark.parametrize("change", ["url", "extra", "lacking"])
def test_another_ready_file_is_not_valid(change: str) -> None:
    good = dict.fromkeys(SCHEMAS["ready"]()["required"], "https://x")
    bad = {"url": {**good, "url": "x"}, "extra": {**good, "more": ""}, "lacking": {"url": "x"}}
    validator = jsonschema_rs.Draft202012Validator(SCHEMAS["ready"]())
    assert validator.is_valid(good)
    assert not validator.is_valid(bad[change])
