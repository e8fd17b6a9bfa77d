"""The history is kept with the oldest pytest that we support, too."""

from __future__ import annotations

import subprocess
import sys

# pytest has subtests of its own since 9.0.
WITHOUT_SUBTESTS = "import sys, pytest; sys.modules['_pytest.subtests'] = None; "


def test_a_pytest_without_subtests_is_enough() -> None:
    code = WITHOUT_SUBTESTS + "import pytest_proxmox.flaky.session"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
