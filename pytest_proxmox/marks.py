"""The marks: which are registered, which skip a test, and what their arguments say."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

REAL = "real_proxmox"
REAL_SKIP_REASON = "Real Proxmox integration tests require PROXMOX_HOST env var"
MARKERS: tuple[tuple[str, str], ...] = (
    (REAL, "needs a real Proxmox VE; skipped unless PROXMOX_HOST names one"),
    ("integration", "may use services outside the test process"),
    ("lifecycle", "follows a guest or an app through its whole life"),
    ("critical", "must never fail: a failure stops a release"),
    ("smoke", "a quick look whether the main path works"),
    ("e2e", "drives the app in a browser"),
    ("auth", "logging in, out and staying logged in"),
    ("navigation", "moving between the app's views"),
    ("backup", "backing up and restoring"),
    ("update", "updating an app"),
    ("clone", "cloning a guest or an app"),
    ("slow", "takes longer than a few seconds"),
    ("config", "changing configuration"),
    ("canvas", "the app's own page inside the manager"),
    ("monitoring", "metrics and status over time"),
    ("settings", "the manager's settings"),
    (
        "quarantine(reason, owner, issue, expires)",
        "runs and is reported, but its failure does not fail the run until that day",
    ),
    ("vmid_range(size)", "this test needs so many VMIDs: leased together before it starts"),
    (
        "proxmox_faults(each_call, may_raise)",
        "run the test again with each of these faults at each of its API calls: drop-before, "
        "drop-after, 596, lock, warnings; it may end with one of these exceptions",
    ),
    (
        "allow_leaks(pattern, ..., reason=None)",
        "this test may leave behind what the patterns (kind or kind:glob) name; none: anything",
    ),
)
FEATURES = tuple(name for name, _ in MARKERS if name.isidentifier())  # those without arguments
TIMEOUT_MARKER = ("timeout(seconds)", "without pytest-timeout installed this does nothing")

QUARANTINED = pytest.StashKey[bool]()  # whether a test of the run carries that mark
_ABOVE = pytest.StashKey[bool]()


def register(config: pytest.Config) -> None:
    """Make ``--strict-markers`` and ``--markers`` know the table."""
    for signature, text in MARKERS:
        config.addinivalue_line("markers", f"{signature}: {text}")
    if not config.pluginmanager.hasplugin("timeout"):
        signature, text = TIMEOUT_MARKER
        config.addinivalue_line("markers", f"{signature}: {text}")


class Bearers:
    """Tells which tests bear a mark. Their parent is asked once for all tests in a row."""

    __slots__ = ("_mark", "_parent", "_parent_bears")

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._parent: pytest.Collector | None = None
        self._parent_bears = False

    def __contains__(self, item: pytest.Item) -> bool:
        if item.parent is not self._parent:
            self._parent = item.parent
            closest = None if item.parent is None else item.parent.get_closest_marker(self._mark)
            self._parent_bears = closest is not None
        if self._parent_bears or not item.own_markers:
            return self._parent_bears
        return self._mark in [mark.name for mark in item.own_markers]


def skip_real(items: Iterable[pytest.Item]) -> None:
    """Skip the tests that need a real Proxmox: nobody named one."""
    bearers = Bearers(REAL)
    for item in items:
        if item in bearers:
            item.add_marker(pytest.mark.skip(reason=REAL_SKIP_REASON))


def vmid_count(node: pytest.Item) -> int:
    """Return how many VMIDs the test's ``vmid_range`` mark asks for, 1 without one.

    Raises:
        InvalidValue: the mark's arguments are not ``size=<a whole number above 0>``.
    """
    mark = node.get_closest_marker("vmid_range")
    if mark is None:
        return 1
    size = mark.kwargs.get("size", mark.args[0] if mark.args else None)
    if type(size) is not int or size < 1 or len(mark.args) + len(mark.kwargs) != 1:
        from pytest_proxmox.errors import InvalidValue

        raise InvalidValue(
            "the mark vmid_range needs a size above 0 and nothing else",
            origin=node.nodeid,
            hint="E.g. @pytest.mark.vmid_range(size=3)",
        )
    return size


def matter(item: pytest.Function, collector: pytest.Module | pytest.Class) -> bool:
    """Return whether a mark of the test, or above it, is one that collection acts upon."""
    above = collector.stash.get(_ABOVE, None)
    if above is None:
        above = collector.stash[_ABOVE] = any(map(_acts, collector.iter_markers()))
    return above or any(map(_acts, item.own_markers))


def _acts(mark: pytest.Mark) -> bool:
    return mark.name in ("integration", REAL, "vmid_range", "proxmox_faults", "quarantine")
