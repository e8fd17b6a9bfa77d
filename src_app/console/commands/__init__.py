"""What the console's commands do, a module for each section of the help."""

from __future__ import annotations

from src_app.console.commands import cluster, guests, sitting, upkeep
from src_app.console.registry import Registry, Wrap, unwrapped


def make_registry(wrap: Wrap = unwrapped) -> Registry:
    """Return all commands; ``wrap`` goes round each handler, once."""
    told = (sitting, cluster, guests, upkeep)
    return Registry([c for section in told for c in section.COMMANDS], wrap=wrap)
