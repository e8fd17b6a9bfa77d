"""The apps that can be deployed: entries as files, read, checked, searched."""

from src_app.catalog.entry import CatalogEntry, Version, Volume
from src_app.catalog.library import Library, Problem

__all__ = ["CatalogEntry", "Library", "Problem", "Version", "Volume"]
