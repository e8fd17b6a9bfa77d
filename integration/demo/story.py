"""A story: what a demo test did, one line a step."""

from __future__ import annotations

INDENT = "    "
LABEL_WIDTH = 24


class Story:
    """Prints a title and steps, aligned; stops at the first step that does not hold."""

    def title(self, text: str) -> None:
        """Say what this part is about."""
        print(f"\n\n{INDENT}{text}")

    def step(self, label: str, text: object = "") -> None:
        """Say that something has been done, and what came of it."""
        print(f"{INDENT}  ✓ {label:<{LABEL_WIDTH}} {text}".rstrip())

    def event(self, label: str, text: object = "") -> None:
        """Say that something went wrong on purpose."""
        print(f"{INDENT}  ✗ {label:<{LABEL_WIDTH}} {text}".rstrip())

    def end(self) -> None:
        """Leave pytest's own word a line of its own."""
        print(INDENT, end="")
