"""The reference pages and the runbook say what the code says."""

from __future__ import annotations

import inspect
import re

import pytest

from pytest_proxmox import errors
from scripts import reference_facts
from scripts.reference_messages import messages
from scripts.reference_pages import FOLDER, pages
from tests.house.source import ROOT, project_files

RUNBOOK = ROOT / "docs" / "guides" / "troubleshooting-runbook.md"
PAGES = pages()
CLASSES = sorted(
    name
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__
)
PROSE = sorted(
    ROOT / name
    for name in project_files()
    if name.startswith("docs/") and name.endswith(".md") and not name.startswith("docs/adr/")
)
# Flags of pytest and its other plugins that our pages name.
FOREIGN_FLAGS = set(
    "--base-url --browser --clean-alluredir --collect-only --color --cov --cov-report --dist "
    "--durations --fail-on-flaky --ff --fixtures --headed --ignore --lf --markers --maxfail "
    "--output --pdb --reruns --screenshot --slowmo --strict-markers --tb --timeout --tracing "
    "--video --with-deps --alluredir --yes --cached --clean --help --version".split()
)
# What the error's class puts round a text: the place that gives the text gives the hint too.
FRAMES = {"LeaseError": "lease …: …", "TaskError": "… (task …)", "WorldError": "world: …: …"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_reference_page_is_up_to_date(name: str) -> None:
    told = (FOLDER / name).read_text(encoding="utf-8")
    assert told == PAGES[name], "run: python -m scripts.reference_pages"


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_is_found_in_the_runbook(name: str) -> None:
    assert re.search(rf"^### `{name}`$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_runbook_knows_no_error_that_is_gone() -> None:
    told = re.findall(r"^### `(\w+)`$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == CLASSES


def _known_flags() -> set[str]:
    flags = [flag for flag, _ in reference_facts.declared()[0]]
    flags += [flag for command in reference_facts.commands() for flag, _ in command.flags]
    return FOREIGN_FLAGS | {found for flag in flags for found in FLAG.findall(flag)}


def test_the_pages_name_no_option_that_does_not_exist() -> None:
    known = _known_flags()
    texts = {path: path.read_text(encoding="utf-8") for path in PROSE}
    ours = {path.stem: text for path, text in texts.items() if "src_app" not in text}
    unknown = {page: set(FLAG.findall(text)) - known for page, text in ours.items()}
    assert {page: flags for page, flags in unknown.items() if flags} == {}


def test_each_message_belongs_to_an_error_of_the_runbook() -> None:
    found = messages()
    assert {one.error for one in found} - {""} <= set(CLASSES)
    page = PAGES["messages.md"]
    assert [one for one in found if one.text.replace("|", r"\|") not in page] == []


def test_a_message_is_read_with_its_values_left_out() -> None:
    texts = {one.text: one for one in messages()}
    assert texts['VMID range "…" is empty'].error == "InvalidValue"
    assert texts['VMID range "…" is empty'].hint == "Give the lower number first, e.g. …-…"


def test_each_message_says_what_to_do() -> None:
    found = [one for one in messages() if one.error and FRAMES.get(one.error) != one.text]
    assert [one.text for one in found if not one.hint] == []
    assert [one.text for one in found if one.hint.endswith(".")] == []


def test_each_frame_is_still_there() -> None:
    texts = {(one.error, one.text) for one in messages() if not one.hint}
    assert set(FRAMES.items()) == {pair for pair in texts if pair[0]}


def test_a_message_without_a_hint_has_its_classes() -> None:
    hints = {one.hint for one in messages() if one.error == "ForeignGuest"}
    assert len(hints) == 2


def test_each_requirement_is_told_with_its_oldest_version() -> None:
    rows = re.findall(r"^\| (.+?) \| .* \| (.*) \|$", PAGES["compatibility.md"], re.MULTILINE)
    versions = dict(rows[2:])
    assert versions["pytest"] == "8.4 and newer"
    assert versions["Python"].startswith("3.11, ")
    assert not [name for name, told in versions.items() if told == " and newer"]
