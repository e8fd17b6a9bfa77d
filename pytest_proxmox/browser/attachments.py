"""Hands files to Allure where a run reports to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_PLUGIN = "allure_pytest.plugin"


def attach(path: Path) -> None:
    """Add a file to the running test's Allure result; without Allure nothing happens."""
    if _PLUGIN not in sys.modules:
        return
    import allure

    attach_file: Any = allure.attach.file  # ships no types
    attach_file(str(path), name=path.name, extension=path.suffix.removeprefix("."))
