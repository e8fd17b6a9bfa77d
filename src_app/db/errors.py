"""What can go wrong in the database layer, with the field where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src_app.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be stored, and why."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


class RepositoryError(Exception):
    """Anything a repository refuses; ``code`` is for programs, the text for people."""

    code = "repository_error"


class NotFoundError(RepositoryError):
    """No row has that id."""

    code = "not_found"

    def __init__(self, entity: str, key: object) -> None:
        self.entity = entity
        self.key = key
        super().__init__(f"there is no {entity} {key!r}")


class ValidationError(RepositoryError):
    """Values that cannot be stored; ``field`` is the first, ``errors`` are all."""

    code = "validation"

    def __init__(self, entity: str, errors: Sequence[FieldError]) -> None:
        self.entity = entity
        self.errors = tuple(errors)
        self.field = errors[0].field
        super().__init__(f"{entity}: " + "; ".join(map(str, errors)))


class ConflictError(RepositoryError):
    """The row is fine, but not together with those that are there."""

    code = "conflict"

    def __init__(self, entity: str, field: str, text: str) -> None:
        self.entity = entity
        self.field = field
        self.text = text
        super().__init__(f"{entity}: {field}: {text}")


class DatabaseUnusable(ConfigurationError):
    """The database that APP_DATABASE_URL names cannot be opened, or is not the manager's."""

    code = "database"
