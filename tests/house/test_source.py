"""Every file of the project keeps the house rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.house import rules
from tests.house.source import ROOT, Offence, Source, project_files, project_sources

# Functions over 40 lines, `path::name`: why the length is right. None over 60.
LONG_FUNCTIONS = {
    "e2e_tests/test_full_lifecycle.py::test_full_app_deploy_manage_delete_workflow": (
        "the plan's text, as it stands"
    ),
    "tests/database/test_repository_integration.py::test_complete_life_of_a_cluster": (
        "one life, told in one piece"
    ),
    "src_app/db/migrations/versions/0001_first_schema.py::_apps": "a table's columns: data",
}

# Modules that turn something untyped into a Vmid: why they are an edge.
MAKES_VMIDS = {
    "pytest_proxmox/gateway/reach.py": "calls of an app under test are text from outside",
    "pytest_proxmox/sandbox/inventory.py": "rows of Proxmox's lists become values here",
    "pytest_proxmox/sandbox/pools.py": "a lease pool's name says which ids it holds",
    "pytest_proxmox/sandbox/rows.py": "rows of the ledger's file hold plain numbers",
    "pytest_proxmox/sandbox/sandbox.py": "tests hand over plain numbers",
    "pytest_proxmox/simulator/state.py": "guests come out of the store under plain numbers",
    "pytest_proxmox/simulator/world.py": "the world file is text from outside",
    "pytest_proxmox/strategies.py": "draws ids for tests",
    "pytest_proxmox/values.py": "the type's own parser and ranges",
}

# A plan's text as it stands: its style is the plan's.
VERBATIM = {
    "integration/test_proxmox_real.py",
    "e2e_tests/test_full_lifecycle.py",
    "e2e_tests/test_backup_restore.py",
    "e2e_tests/test_app_update.py",
    "e2e_tests/test_navigation.py",
}

# A rule and a file that it does not judge: why.
EXCUSED = {
    ("swallowed_exceptions", "tests/unit/database/isolation/escapes.py"): (
        "plays an app that swallows the refusal"
    ),
    ("tests_without_judgement", "tests/unit/database/isolation/test_isolation.py"): (
        "runs the cases of a table, each with its own assertions"
    ),
}

SLEEPS = {"pytest_proxmox/clock.py", "src_app/clock.py"}  # the Clock ports, one a package
NAMELESS_BY_PLAN = (
    "e2e_tests/utils/",  # a plan names e2e_tests/utils/page_guard.py
    "pytest_proxmox/database/helper.py",  # the contract names db_helper, a DatabaseTestHelper
)
SPEAKS_OF_PATHS = {"tests/house/test_rules.py"}  # plants what the rule must find


def _report(offences: Iterable[Offence]) -> str:
    return "\n".join(str(offence) for offence in offences)


def _texts() -> Iterator[tuple[str, str]]:
    """Yield each text file that people write; recorded exchanges (.jsonl) are data."""
    for name in project_files():
        if name.endswith((".jsonl", ".png")):
            continue
        raw = (ROOT / name).read_bytes()
        if b"\0" not in raw:
            yield name, raw.decode("utf-8")


@pytest.mark.parametrize(
    "rule",
    [
        rules.long_functions,
        rules.long_module,
        rules.undocumented,
        rules.swallowed_exceptions,
        rules.stubs,
        rules.tests_without_judgement,
    ],
    ids=lambda rule: rule.__name__,
)
def test_no_file_breaks(rule: Callable[[Source], Iterable[Offence]]) -> None:
    found = {
        source.path: offences
        for source in project_sources()
        if source.path not in VERBATIM and (offences := list(rule(source)))
    }
    excused = {path for name, path in EXCUSED if name == rule.__name__}
    assert found.keys() <= excused, _report(
        offence for path, group in found.items() if path not in excused for offence in group
    )
    stale = excused - found.keys()
    assert not stale, f"nothing to excuse any more, take the reason out: {sorted(stale)}"


def test_each_function_over_the_aim_has_a_reason() -> None:
    found: dict[str, Offence] = {}
    for source in project_sources():
        found |= rules.longish_functions(source)
    unexplained = [offence for name, offence in found.items() if name not in LONG_FUNCTIONS]
    assert not unexplained, _report(unexplained)
    stale = LONG_FUNCTIONS.keys() - found.keys()
    assert not stale, f"no longer over the aim, take the reason out: {sorted(stale)}"


def test_a_vmid_is_made_at_the_edges_only() -> None:
    made = {
        source.path: offences
        for source in project_sources()
        if source.room in ("pytest_proxmox", "src_app")
        and (offences := list(rules.vmids_made(source)))
    }
    elsewhere = [o for path, found in made.items() if path not in MAKES_VMIDS for o in found]
    assert not elsewhere, _report(elsewhere)
    stale = MAKES_VMIDS.keys() - made.keys()
    assert not stale, f"no longer an edge, take the reason out: {sorted(stale)}"


def test_nobody_sleeps_but_the_clock() -> None:
    offences = [
        offence
        for source in project_sources()
        if source.path not in SLEEPS
        for offence in rules.sleeps(source)
    ]
    assert not offences, _report(offences)


def test_every_module_is_named_after_what_is_inside() -> None:
    offences = [
        offence
        for name in project_files()
        if not name.startswith(NAMELESS_BY_PLAN)
        for offence in rules.nameless_path(name)
    ]
    assert not offences, _report(offences)


def test_nothing_speaks_of_a_workplace() -> None:
    offences = [
        offence
        for name, text in _texts()
        if name not in SPEAKS_OF_PATHS
        for offence in rules.workplace_words(name, text)
    ]
    assert not offences, _report(offences)


def test_work_to_do_names_its_issue() -> None:
    offences = [
        offence
        for name, text in _texts()
        if not name.startswith("tests/house/")
        for offence in rules.unnumbered_todos(name, text)
    ]
    assert not offences, _report(offences)


def test_changelog_fragments_are_sentences_in_well_named_files() -> None:
    fragments = [name for name in project_files() if name.startswith("changelog.d/")]
    assert fragments
    offences = [
        offence
        for name in fragments
        for offence in rules.crooked_fragment(name, (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert not offences, _report(offences)
