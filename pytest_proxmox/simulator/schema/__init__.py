"""What the PVE 9 API takes and returns: templates, methods, checks of parameters, shapes.

Made from facts alone (``methods.tsv``) and from recorded answers; see ``catalog`` for the way in.
"""

from __future__ import annotations

from pytest_proxmox.simulator.schema.catalog import Method, Schema, conflicts, load, verify
from pytest_proxmox.simulator.schema.fields import Verified
from pytest_proxmox.simulator.schema.property_strings import (
    parse_property_string,
    print_property_string,
    properties,
    render,
)
from pytest_proxmox.simulator.schema.shapes import example

__all__ = [
    "Method",
    "Schema",
    "Verified",
    "conflicts",
    "example",
    "load",
    "parse_property_string",
    "print_property_string",
    "properties",
    "render",
    "verify",
]
