"""What every test of this project gets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# A shared machine is slow at random moments: time is bounded by faulthandler_timeout instead.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


# Plugins of pytest that import much for a few tests of ours, or shuffle the tests of a run.
WITHOUT_MANY = " ".join(
    f"-p no:{name}"
    for name in (
        "schemathesis", "faker", "randomly", "hypothesispytest", "allure_pytest", "playwright",
    )
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own PROXMOX_* variables from the runs that a test starts."""
    for name in [name for name in os.environ if name.startswith("PROXMOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLAKY_HISTORY_URL", "off")  # runs that test something else keep none
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_MANY)  # of runs in processes of their own


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own, which forgets PYTEST_ADDOPTS, with the same for the runs that it starts."""
    monkeypatch.setenv("PYTEST_ADDOPTS", WITHOUT_MANY)
    return pytester


@pytest.fixture
def heeding_signals() -> Iterator[None]:
    """Let what a test starts end by its signals, also behind a shell's ``&`` and ``nohup``.

    They let their commands ignore SIGINT and SIGHUP, and whatever those start inherits that.
    """
    heeded: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
