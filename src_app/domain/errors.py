"""What can go wrong in the app manager, in words for its users; ``code`` is for programs."""

from __future__ import annotations

from collections.abc import Mapping


class AppManagerError(Exception):
    """Anything the app manager refuses or cannot do; ``fields`` names inputs that are wrong."""

    code = "error"

    def __init__(self, message: str, *, fields: Mapping[str, str] | None = None) -> None:
        self.message = message
        self.fields = dict(fields or {})
        super().__init__(message)


class NotFoundError(AppManagerError):
    """There is no such thing, or it is somebody else's."""

    code = "not_found"


class AppNotFoundError(NotFoundError):
    """There is no such app, or it is somebody else's."""

    @classmethod
    def of(cls, app_id: str) -> AppNotFoundError:
        """Return the error for an app's id."""
        return cls(f"App '{app_id}' not found")


class InvalidInput(AppManagerError):
    """What was asked for cannot be; ``fields`` says why."""

    code = "invalid"


class ConflictError(AppManagerError):
    """It cannot be done beside what is there."""

    code = "conflict"


class AppAlreadyExistsError(ConflictError):
    """Another app has that hostname."""


class BusyError(ConflictError):
    """Another operation works on the app."""

    code = "busy"


class AppOperationError(AppManagerError):
    """An operation on an app failed; what it changed was undone."""

    code = "operation_failed"


class NotAuthenticated(AppManagerError):
    """Nobody is logged in, or no longer."""

    code = "not_authenticated"


class NotAllowed(AppManagerError):
    """Somebody is logged in who may not do that."""

    code = "not_allowed"


class TooManyAttempts(AppManagerError):
    """Too many failed logins; ``retry_after_s`` says when the next is looked at."""

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ConfigurationError(AppManagerError):
    """A setting from environment or file cannot be used."""

    code = "configuration"
