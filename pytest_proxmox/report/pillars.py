"""The four pillars that reports sort tests into: by mark first, else by folder."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_proxmox.report.figures import TestFigures

BACKEND = "Backend Tests"
E2E = "E2E Tests"
CRITICAL = "Critical Flows"
INTEGRATION = "Integration"
PILLARS = (BACKEND, E2E, CRITICAL, INTEGRATION)
_MARKS = (
    (CRITICAL, {"critical", "lifecycle"}),
    (INTEGRATION, {"integration", "real_proxmox"}),
    (E2E, {"e2e", "navigation", "auth", "canvas"}),
)


def pillar_of(nodeid: str, markers: str) -> str:
    """Return the pillar that a test belongs to."""
    given = set(markers.split(","))
    for pillar, names in _MARKS:
        if given & names:
            return pillar
    folders = nodeid.partition("::")[0].split("/")[:-1]
    if any("e2e" in folder for folder in folders):
        return E2E
    return INTEGRATION if "integration" in folders else BACKEND


def sort(tests: Sequence[TestFigures]) -> dict[str, list[TestFigures]]:
    """Return each pillar's tests, the empty pillars too."""
    found: dict[str, list[TestFigures]] = {pillar: [] for pillar in PILLARS}
    for test in tests:
        found[pillar_of(test.nodeid, test.markers)].append(test)
    return found
