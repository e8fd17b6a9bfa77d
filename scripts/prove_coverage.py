"""Run the contract tests and write down which methods answered them.

``scripts/prove_coverage.py [PYTEST_ARGS …]`` replaces pytest_proxmox/simulator/proven.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_proxmox.simulator.coverage import PROVEN, Usage

HEADER = "# Methods that answered a contract test; made by scripts/prove_coverage.py.\n"


def main(arguments: list[str]) -> int:
    """Return pytest's exit status; the file is replaced only where it is 0."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/contract", *arguments],
            env={**os.environ, "CONTRACT_USAGE": folder},
            check=False,
        )
        if done.returncode:
            return done.returncode
        usage = Usage.read(Path(folder).glob("*.json"))
    lines = sorted(f"{path} {verb}" for verb, path in usage.answered)
    keys = [line.rsplit(" ", 1) for line in lines]
    PROVEN.write_text(HEADER + "".join(f"{verb} {path}\n" for path, verb in keys), encoding="utf-8")
    print(f"{len(keys)} methods answered")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
