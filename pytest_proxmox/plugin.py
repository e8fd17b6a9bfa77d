"""The composition root: pytest hooks of a few lines, fixture rooms by name."""
