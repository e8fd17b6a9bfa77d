"""What the console's commands do, a module for each section of the help."""

from __future__ import annotations

from src_app.console.commands import cluster, exporting, guests, sitting, upkeep
from src_app.console.commands.observing import Observing, watch_with
from src_app.console.registry import Registry
from src_app.observability.observer import Observer


def make_registry(observer: Observer | None = None) -> Registry:
    """Return all commands, each of them watched; without an observer by one of its own."""
    watcher = observer or Observer()
    told = (sitting, cluster, guests, upkeep)
    commands = [command for section in told for command in section.COMMANDS]
    observing = Observing(watcher).commands()
    return Registry([*commands, *exporting.COMMANDS, *observing], wrap=watch_with(watcher))
