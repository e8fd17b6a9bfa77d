"""Our own tests keep what ``hygiene_lint`` asks of others."""

from __future__ import annotations

from pathlib import Path

from pytest_proxmox.hygiene.lint import findings
from tests.house.test_source import VERBATIM

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for folder in ("tests", "integration", "examples", "e2e_tests")
    for path in (ROOT / folder).rglob("test_*.py")
    if str(path.relative_to(ROOT)) not in VERBATIM  # a plan waits by the clock
)


def test_tests_can_fail_and_do_not_wait_by_the_clock() -> None:
    told = [
        found.render(str(path.relative_to(ROOT)))
        for path in MODULES
        for found in findings(path.read_text(encoding="utf-8"))
    ]

    assert told == []


def test_every_folder_of_tests_is_read() -> None:
    assert len(MODULES) > 100
