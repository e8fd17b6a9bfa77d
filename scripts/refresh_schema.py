#!/usr/bin/env python3
"""Distil the API facts of a Proxmox VE into the data file of ``pytest_proxmox.simulator.schema``.

    scripts/refresh_schema.py METHODS_JSON pytest_proxmox/simulator/schema/methods.tsv

The source maps path templates to verbs to facts: parameters, permissions, return shape. The
result has one line a path, template TAB minified JSON, both sorted, so that a new PVE version is
a readable diff and a single path can be parsed without the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def distil(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of the data file: one line a path, sorted, nothing left out."""
    lines = (
        f"{template}\t{json.dumps(verbs, sort_keys=True, separators=(',', ':'))}\n"
        for template, verbs in sorted(facts.items())
    )
    return "".join(lines)


def main() -> None:
    """Write the data file named on the command line."""
    parser = argparse.ArgumentParser(description="Distil API facts into the package's data file.")
    parser.add_argument("source", type=Path, help="JSON: path template -> verb -> facts")
    parser.add_argument("dest", type=Path, help="the data file to write")
    options = parser.parse_args()
    facts = json.loads(options.source.read_text(encoding="utf-8"))
    options.dest.write_text(distil(facts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
